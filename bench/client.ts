/** Requests with a token, and their answers' JSON. The tests' own client checks each answer, which costs more than the answer. */
export type Client = (method: string, path: string, body?: unknown) => Promise<any>;

export async function signIn(url: string, username = 'admin', password = 'password1234'): Promise<Client> {
  const { auth_token: token } = await call(url, '')('POST', '/authenticate', { username, password });
  return call(url, token);
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
