/** An error as the log may hold it. */
export interface ExplainedError {
  type: string;
  message: string;
  code?: string;
  stack?: string;
  cause?: ExplainedError;
}

/**
 * What an error says, without the values that it was about: database errors carry the whole statement with its parameters
 * (commands, output, digests) in their message and their fields, and a log must hold none of those.
 */
export function explainError(error: unknown): ExplainedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return {
    type: error.name,
    message: withoutParameters(error.message),
    ...(code !== undefined && { code }),
    stack: framesOf(error),
    ...(error.cause !== undefined && { cause: explainError(error.cause) }),
  };
}

/** drizzle writes the statement, then "params:" and every value. */
const withoutParameters = (message: string) => message.replace(/\nparams:[\s\S]*$/, '');

/** The stack repeats the message at its head. */
function framesOf({ stack = '' }: Error): string {
  return stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .join('\n');
}
