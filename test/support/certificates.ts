import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files (PEM) of an authority of the tests' own, and of a server's certificate that it has signed. */
export interface Certificates {
  ca: string;
  cert: string;
  key: string;
}

/** For `localhost` and no other name. Null where the machine has no openssl. */
export function makeCertificates(directory: string): Certificates | null {
  mkdirSync(directory, { recursive: true });
  const file = (name: string) => join(directory, name);
  const extensions = file('extensions');
  writeFileSync(extensions, 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n');
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = [
    '-x509',
    '-days',
    '2',
    '-subj',
    '/CN=Tests of BJR',
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
  ];
  const request = ['-subj', '/CN=localhost', '-keyout', file('server.key'), '-out', file('server.csr')];
  const by = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', extensions];
  const isMade =
    openssl(['req', ...newKey, ...authority]) &&
    openssl(['req', ...newKey, ...request]) &&
    openssl(['x509', '-req', '-in', file('server.csr'), '-out', file('server.pem'), ...by]);
  if (!isMade) return null;
  chmodSync(file('server.key'), 0o600);
  return { ca: file('ca.pem'), cert: file('server.pem'), key: file('server.key') };
}

function openssl(args: string[]): boolean {
  const { error, status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (error) return false;
  if (status !== 0) throw new Error(`openssl ${args[0]} failed:\n${stderr}`);
  return true;
}
