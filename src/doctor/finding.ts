/** What a check has found, and how to mend it where it is not well. */
export interface Finding {
  /** `failure`: BJR does not work so, or not as it promises. `warning`: it does, and somebody should know. */
  level: 'ok' | 'warning' | 'failure';
  /** What was looked at. */
  what: string;
  says: string;
  mend?: string;
}

export const ok = (what: string, says: string): Finding => ({ level: 'ok', what, says });
export const warning = (what: string, says: string, mend: string): Finding => ({ level: 'warning', what, says, mend });
export const failure = (what: string, says: string, mend: string): Finding => ({ level: 'failure', what, says, mend });

/** A line of its own; the three levels stand under each other. */
export function toLine({ level, what, says, mend }: Finding): string {
  return `${level.padEnd(8)} ${what.padEnd(20)} ${says}${mend ? `. Mend: ${mend}` : ''}`;
}

/** An error in one line, its causes too. */
export function reasonOf(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = 'code' in at && typeof at.code === 'string' ? at.code : '';
    // A failed statement says itself; its cause says why.
    if (!(at.message.startsWith('Failed query') && at.cause)) parts.push([code, at.message].filter(Boolean).join(' '));
  }
  return (parts.join(': ') || String(error)).replaceAll(/\s+/g, ' ');
}
