/** The form in which names are compared: canonical Unicode, without regard to case or surrounding blanks. */
export function foldName(name: string): string {
  return name.normalize('NFC').trim().toLowerCase().normalize('NFC');
}
