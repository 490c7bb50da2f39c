import { jwtVerify, SignJWT } from 'jose';

/** What a token says: whose it is, and which of the user's password changes it knows of. */
export interface TokenClaims {
  userId: number;
  tokenVersion: number;
}

export interface Tokens {
  issue(claims: TokenClaims): Promise<string>;
  /** Null for a token that is not ours, is expired, never expires, or lives longer than tokens do. */
  read(token: string): Promise<TokenClaims | null>;
}

/** The nodes that issue tokens and that read them need not agree on the time. */
const CLOCKS_APART_SECONDS = 3600;

/** Checking a signature is a trip to another thread, 7 % of a request: a token's is looked at once. */
const KNOWN_MAX = 1000;

interface Known extends TokenClaims {
  expiresAtSeconds: number;
}

/** JSON Web Tokens under HS256 and nothing else. */
export function createTokens(secret: string, lifeSeconds: number): Tokens {
  const key = new TextEncoder().encode(secret);
  const known = new Map<string, Known>();
  const remember = (token: string, claims: Known) => {
    const [oldest] = known.keys();
    if (known.size >= KNOWN_MAX && oldest !== undefined) known.delete(oldest);
    known.set(token, claims);
    return claims;
  };
  return {
    issue: ({ userId, tokenVersion }) =>
      new SignJWT({ user_id: userId, version: tokenVersion })
        .setProtectedHeader({ alg: 'HS256' })
        .setExpirationTime(Math.floor(Date.now() / 1000) + lifeSeconds)
        .sign(key),
    async read(token) {
      const earlier = known.get(token);
      // An expired one goes the long way round, where it is refused like any other.
      if (earlier && earlier.expiresAtSeconds > Date.now() / 1000) return earlier;
      try {
        const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], requiredClaims: ['exp'] });
        const { user_id: userId, version } = payload;
        if (typeof userId !== 'number' || typeof version !== 'number') return null;
        // Of our own making none lives longer; one from a time when the setting was longer does not either.
        if (Number(payload.exp) > Date.now() / 1000 + lifeSeconds + CLOCKS_APART_SECONDS) return null;
        return remember(token, { userId, tokenVersion: version, expiresAtSeconds: Number(payload.exp) });
      } catch {
        return null;
      }
    },
  };
}
