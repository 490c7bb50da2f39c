import { compare, hash } from 'bcryptjs';

const COST = 10;
/** bcrypt reads 72 bytes and no more. */
const PASSWORD_BYTES = { min: 8, max: 72 };
/** A digest of nothing that anyone knows: an unknown user costs the same work as a wrong password. */
const NOBODYS_DIGEST = hash(crypto.randomUUID(), COST);

export function hashPassword(password: string): Promise<string> {
  return hash(password, COST);
}

/** False also without a digest, after the same work. */
export async function verifyPassword(password: string, digest: string | undefined): Promise<boolean> {
  const isMatch = await compare(password, digest ?? (await NOBODYS_DIGEST));
  return isMatch && digest !== undefined;
}

/** What is wrong with a new password, in words; [] when nothing is. */
export function passwordProblems(password: string, confirmation: string): string[] {
  const bytes = Buffer.byteLength(password);
  const { min, max } = PASSWORD_BYTES;
  const problems = bytes === 0 ? ["Password can't be blank"] : [];
  if (bytes > 0 && bytes < min) problems.push(`Password is too short (minimum is ${min} bytes)`);
  if (bytes > max) problems.push(`Password is too long (maximum is ${max} bytes)`);
  if (password.includes('\0')) problems.push("Password can't contain a null character");
  if (password !== confirmation) problems.push("Password confirmation doesn't match Password");
  return problems;
}
