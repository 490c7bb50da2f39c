import { type Problem, problemIf } from './problem.ts';

/** Text without regard to case, in canonical Unicode. */
export function foldText(text: string): string {
  return text.normalize('NFC').toLowerCase().normalize('NFC');
}

/** The form in which names are compared: canonical Unicode, without regard to case or surrounding blanks. */
export function foldName(name: string): string {
  return foldText(name.normalize('NFC').trim());
}

const NAME_LENGTH_MAX = 255;
/** The columns that hold folded names. A character may become two or three: canonical Unicode takes some apart. */
const FOLDED_LENGTH_MAX = 512;

/** What is wrong with a name's length; [] when nothing is. */
export const nameLengthProblems = (field: string, name: string): Problem[] =>
  problemIf(name.length > NAME_LENGTH_MAX || foldName(name).length > FOLDED_LENGTH_MAX, 'too_long', field, {
    limit: NAME_LENGTH_MAX,
  });
