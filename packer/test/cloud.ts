import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

/**
 * What the images ask of AWS, at the addresses where they ask for it: an instance's metadata (version 2 only), Secrets
 * Manager and auto-scaling. The client in the images is the real one.
 */
export interface Cloud {
  /** For the setting AWS_ENDPOINT_URL. */
  endpoint: string;
  /** Paths below /latest/meta-data; others are answered with 404. */
  metadata: Map<string, string>;
  /** Lifecycle actions that were completed. */
  completed: URLSearchParams[];
}

export const METADATA_ADDRESS = '169.254.169.254';
const ENDPOINT = { host: '127.0.0.1', port: 8555 };
const ACCESS_KEY = 'ASIAROLEOFTHEINSTANCE';

const credentials = {
  Code: 'Success',
  LastUpdated: '2026-01-01T00:00:00Z',
  Type: 'AWS-HMAC',
  AccessKeyId: ACCESS_KEY,
  SecretAccessKey: 'of the role',
  Token: 'of the role',
  Expiration: '2100-01-01T00:00:00Z',
};

export async function startCloud(secret: Record<string, string>): Promise<Cloud> {
  const metadata = new Map([
    ['instance-id', 'i-0123456789abcdef0'],
    ['placement/region', 'eu-central-1'],
    ['iam/security-credentials/', 'bjr'],
    ['iam/security-credentials/bjr', JSON.stringify(credentials)],
    ['autoscaling/target-lifecycle-state', 'InService'],
  ]);
  const completed: URLSearchParams[] = [];
  await listen(80, METADATA_ADDRESS, (request, response) => answerMetadata(metadata, request, response));
  await listen(ENDPOINT.port, ENDPOINT.host, async (request, response) => {
    const body = await text(request);
    const isSigned = request.headers.authorization?.includes(`Credential=${ACCESS_KEY}/`);
    if (!isSigned) return void response.writeHead(403).end();
    if (request.headers['x-amz-target'] === 'secretsmanager.GetSecretValue')
      return void response.end(JSON.stringify({ Name: 'bjr', SecretString: JSON.stringify(secret) }));
    const parameters = new URLSearchParams(body);
    if (parameters.get('Action') === 'CompleteLifecycleAction') completed.push(parameters);
    response.setHeader('Content-Type', 'text/xml');
    response.end(autoScalingAnswer(parameters.get('Action') ?? ''));
  });
  return { endpoint: `http://${ENDPOINT.host}:${ENDPOINT.port}`, metadata, completed };
}

const TOKEN = 'session';

function answerMetadata(metadata: Map<string, string>, request: IncomingMessage, response: ServerResponse): void {
  const path = request.url ?? '';
  if (request.method === 'PUT' && path === '/latest/api/token') return void response.end(TOKEN);
  if (request.headers['x-aws-ec2-metadata-token'] !== TOKEN) return void response.writeHead(401).end();
  const value = metadata.get(path.replace('/latest/meta-data/', ''));
  response.writeHead(value === undefined ? 404 : 200).end(value);
}

const autoScalingAnswer = (action: string) =>
  `<${action}Response xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><${action}Result>
    <AutoScalingInstances><member><AutoScalingGroupName>bjr-workers</AutoScalingGroupName></member></AutoScalingInstances>
  </${action}Result></${action}Response>`;

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Nobody stops it: it ends with the process. */
async function listen(port: number, host: string, answer: Answer): Promise<void> {
  const server = createServer((request, response) => void answer(request, response)).unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
}
