/** The settings that stand, unquoted, in a file of them. */
export const settingsIn = (text: string) =>
  new Map(text.split('\n').flatMap((line) => (/^\w+=/.test(line) ? [splitSetting(line)] : [])));

export function splitSetting(line: string): [name: string, value: string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}
