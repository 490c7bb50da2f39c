import assert from 'node:assert/strict';
import { until } from './until.ts';

export interface Run {
  success: boolean;
  return_code: number;
  error_message: string;
  stdout: string;
  stderr: string;
  is_manual: boolean;
  end_time?: string;
}

export type Client = Awaited<ReturnType<typeof signIn>>;

const API = 'http://127.0.0.1:4000';

export const awaitApi = () =>
  until('the API', () =>
    fetch(`${API}/version`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );

/** The README's walkthrough, as functions. */
export async function signIn(username: string, password: string) {
  const { auth_token: token } = await request('POST', '/authenticate', { username, password });

  async function request(method: string, path: string, body?: object, authorization?: string): Promise<any> {
    const response = await fetch(`${API}${path}`, {
      method,
      headers: { 'Content-Type': 'application/json', ...(authorization && { Authorization: authorization }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as any;
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }
  const ask = async (method: string, path: string, body?: object) => (await request(method, path, body, token)).object;

  async function createJob(command: string, cron = '0 0 1 1 *'): Promise<number> {
    return (await ask('POST', '/job_api', { name: `Job ${performance.now()}`, cron, command })).id;
  }
  const runsOf = (id: number): Promise<Run[]> => ask('GET', `/job_api/${id}/runs`);
  const awaitRun = (id: number, isIt: (run: Run) => boolean = () => true) =>
    until(`a run of job ${id}`, async () => (await runsOf(id)).find((run) => run.end_time !== undefined && isIt(run)));
  const startNow = (id: number) => ask('POST', `/job_api/${id}/run_now`);

  return {
    ask,
    createJob,
    awaitRun,
    startNow,
    async runCommand(command: string): Promise<Run> {
      const id = await createJob(command);
      await startNow(id);
      return awaitRun(id);
    },
  };
}
