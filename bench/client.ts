/** Requests with a token, and their answers' JSON. The tests' own client checks each answer, which costs more than the answer. */
export type Client = (method: string, path: string, body?: unknown) => Promise<any>;

export const signIn = async (url: string): Promise<Client> => call(url, await authenticate(url));

/** A token of the first start's user. */
export async function authenticate(url: string): Promise<string> {
  const user = { username: 'admin', password: 'password1234' };
  return (await withoutToken(url)('POST', '/authenticate', user)).auth_token;
}

export const withoutToken = (url: string): Client => call(url, '');

const call =
  (url: string, authorization: string): Client =>
  async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
