/**
 * One thing that is wrong with what a user sent: the rule it breaks, the parameter, and what the rule's words need. The
 * words themselves, in each language, are the API's (src/api/messages).
 */
export interface Problem {
  rule: Rule;
  /** The parameter as clients spell it: `success_callback`. */
  field: string;
  value?: string | number;
  limit?: string | number;
}

export type Rule =
  | 'blank'
  | 'too_long'
  | 'too_many_bytes'
  | 'too_few_bytes'
  | 'too_many'
  | 'null_character'
  | 'not_a_string'
  | 'not_a_boolean'
  | 'not_a_number'
  | 'not_a_date'
  | 'not_a_list'
  | 'not_an_object'
  | 'not_a_choice'
  | 'not_a_url'
  | 'not_a_variable'
  | 'not_absolute'
  | 'out_of_range'
  | 'too_early'
  | 'cron'
  | 'taken'
  | 'confirmation'
  | 'unknown_term'
  | 'search_value'
  | 'search_quote'
  | 'search_dates'
  | 'search_zone';

type Details = Omit<Problem, 'rule' | 'field'>;

/** What a check found: [] or the one problem. */
export const problemIf = (isWrong: boolean, rule: Rule, field: string, details: Details = {}): Problem[] =>
  isWrong ? [{ rule, field, ...details }] : [];

/** No process can be given one, and no database text holds it: a string ends at it. */
export const nullCharacter = (field: string, value: string) => problemIf(value.includes('\0'), 'null_character', field);
