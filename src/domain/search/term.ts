/** One condition of a search expression. All terms of an expression must hold. */
export type Term = Condition & { negated: boolean };

export type Condition =
  | { kind: 'name' | 'command'; text: string }
  /** `zone`: its canonical IANA name. */
  | { kind: 'timezone'; zone: string }
  | { kind: 'tags'; match: TagMatch; names: string[] }
  | { kind: State }
  /** An occurrence between the two, both included. */
  | { kind: 'between'; from: Date; until: Date };

/** Tagged with one of the names, with exactly these, or with none of them. */
export type TagMatch = 'any' | 'exactly' | 'none';

export type State = 'running' | 'stopped' | 'enabled' | 'disabled' | 'succeeded' | 'failed';
