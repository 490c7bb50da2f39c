import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { aboutSetting, environment } from '../../src/platform/settings.ts';
import { findHelm, findKubernetesSchemas } from '../support/deployTools.ts';

const CHART = fileURLToPath(new URL('../../deploy/helm/bjr', import.meta.url));
const KUBERNETES = ['1.28.0', '1.37.0'];

const helm = await findHelm();
const schemas = await findKubernetesSchemas(KUBERNETES);

/** Three ways to use the chart: as it is, with servers of one's own, and with everything that can be switched on. */
const VALUE_SETS: Record<string, object> = {
  'as it is': {},
  'with servers and secrets of your own': {
    secret: { existing: 'bjr-secrets' },
    mysql: { enabled: false },
    redisServer: { enabled: false },
    database: { host: 'db.example.com', port: 3307, name: 'jobs', username: 'runner' },
    redis: { host: 'redis.example.com', db: 2 },
    image: { repository: 'registry.example.com/bjr', digest: `sha256:${'a1'.repeat(32)}` },
    worker: { commands: { runAs: 'worker' }, drainTimeoutSeconds: 3600, killGraceSeconds: 20 },
    settings: { BJR_DATABASE_TLS: 'on', BJR_DATABASE_TLS_CA: '/etc/bjr/certificates/database.pem' },
    certificates: { configMap: 'authorities' },
    serviceAccount: { create: false },
    networkPolicy: { enabled: false },
  },
  'with everything on': {
    fullnameOverride: 'everything',
    image: { tag: '9.9.9', pullSecrets: [{ name: 'pull' }] },
    settings: { LOG_LEVEL: 'debug', OUTPUT_LIMIT_BYTES: 16_777_216 },
    api: {
      processes: 2,
      settings: { JWT_EXPIRY_SECONDS: 600 },
      autoscaling: { enabled: true, maxReplicas: 12 },
      podAnnotations: { team: 'jobs' },
      podLabels: { tier: 'web' },
      nodeSelector: { disk: 'ssd' },
      priorityClassName: 'high',
    },
    worker: {
      commands: { runAs: 'uidBase', uidBase: 200_000 },
      settings: { JOB_NICE: 10 },
      autoscaling: { enabled: true, selector: { matchLabels: { release: 'everything' } } },
      state: { volume: { ephemeral: { volumeClaimTemplate: { spec: CLAIM() } } } },
      tolerations: [{ key: 'jobs', operator: 'Exists' }],
      affinity: { nodeAffinity: {} },
    },
    ingress: {
      enabled: true,
      className: 'nginx',
      host: 'bjr.example.com',
      tlsSecret: 'bjr-tls',
      annotations: { a: 'b' },
    },
    networkPolicy: {
      apiFrom: [{ namespaceSelector: { matchLabels: { name: 'ingress' } } }],
      metricsFrom: [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }],
      workerEgress: [{ to: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }],
    },
    monitoring: { podMonitor: { enabled: true, labels: { release: 'prometheus' } }, prometheusRule: { enabled: true } },
    mysql: { storageGi: 0 },
  },
};

function CLAIM() {
  return { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
}

interface EnvVar {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef: { name: string; key: string } };
}

interface Container {
  name: string;
  image: string;
  args?: string[];
  env?: EnvVar[];
  livenessProbe?: { httpGet: { path: string; port: string } };
  securityContext: {
    runAsUser?: number;
    runAsNonRoot?: boolean;
    readOnlyRootFilesystem?: boolean;
    capabilities: { drop: string[]; add?: string[] };
  };
}

interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  terminationGracePeriodSeconds?: number;
  automountServiceAccountToken?: boolean;
  enableServiceLinks?: boolean;
}

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels: Record<string, string> };
  data?: Record<string, string>;
  spec?: {
    template?: { metadata: { labels: Record<string, string> }; spec: PodSpec };
    selector?: Record<string, unknown>;
    podSelector?: { matchLabels: Record<string, string> };
    ingress?: { from?: { podSelector?: { matchLabels?: Record<string, string> } }[] }[];
    scaleTargetRef?: { name: string };
    replicas?: number;
  } & Partial<PodSpec>;
}

function template(values: object, args: string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'bjr-helm-'));
  const file = join(folder, 'values.yaml');
  writeFileSync(file, JSON.stringify(values));
  const { stdout, stderr, status } = spawnSync(helm ?? '', ['template', 'demo', CHART, '--values', file, ...args], {
    encoding: 'utf8',
  });
  rmSync(folder, { recursive: true });
  const documents = parseAllDocuments(stdout).map((document) => document.toJS() as Manifest | null);
  return { status, stderr, manifests: documents.filter((manifest) => manifest !== null) };
}

const rendered = Object.entries(VALUE_SETS).map(([name, values]) => ({ name, ...template(values) }));
const podsOf = (manifests: Manifest[]) =>
  manifests.flatMap(({ kind, metadata, spec }) => {
    const pod = spec?.template?.spec ?? (kind === 'Pod' ? (spec as PodSpec) : undefined);
    return pod ? [{ name: metadata.name, pod, labels: spec?.template?.metadata.labels ?? metadata.labels }] : [];
  });
const podOf = (manifests: Manifest[], component: string) => {
  const found = podsOf(manifests).find(({ labels }) => labels['app.kubernetes.io/component'] === component)?.pod;
  const container = found?.containers[0];
  if (!found || !container) throw new Error(`There are no pods for ${component}`);
  const env = Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value]));
  return { pod: found, container, env };
};

/** The definition that a release of Kubernetes has of this kind of manifest; strict: unknown fields are refused. */
function validators(schema: object) {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(schema, 'kubernetes');
  const definitions = (schema as { $defs: Record<string, Definition> }).$defs;
  return ({ apiVersion, kind }: Manifest) => {
    const [version, group = ''] = apiVersion.split('/').toReversed();
    const isOurs = (one: GroupVersionKind) => one.group === group && one.version === version && one.kind === kind;
    const name = Object.keys(definitions).find((key) =>
      definitions[key]?.['x-kubernetes-group-version-kind']?.some(isOurs),
    );
    return name ? ajv.getSchema(`kubernetes#/$defs/${name}`) : undefined;
  };
}

interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}
interface Definition {
  'x-kubernetes-group-version-kind'?: GroupVersionKind[];
}

describe.skipIf(!helm)('the chart', () => {
  test('has the version of package.json', () => {
    const chart = parse(readFileSync(join(CHART, 'Chart.yaml'), 'utf8'));
    const { version } = JSON.parse(readFileSync(join(CHART, '../../../package.json'), 'utf8'));
    expect(chart).toMatchObject({ version, appVersion: version });
  });

  test.each(rendered)('passes helm lint and renders $name', ({ name, status, stderr }) => {
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const lint = spawnSync(helm ?? '', ['lint', '--strict', '--values', '-', CHART], {
      input: JSON.stringify(VALUE_SETS[name]),
      encoding: 'utf8',
    });
    expect({ status: lint.status, failed: lint.stdout.includes('[ERROR]') }).toEqual({ status: 0, failed: false });
  });

  test.skipIf(!schemas).each(KUBERNETES)('is what Kubernetes %s takes, to the last field', (version) => {
    const find = validators(schemas?.[KUBERNETES.indexOf(version)] ?? {});
    const unknown = new Set<string>();
    const wrong: string[] = [];
    for (const { name, manifests } of rendered) {
      for (const manifest of manifests) {
        const validate = find(manifest);
        const isRight = validate?.(manifest);
        if (isRight === undefined) unknown.add(manifest.kind);
        else if (!isRight) wrong.push(`${name}, ${manifest.kind}: ${JSON.stringify(validate?.errors)}`);
      }
    }
    expect(wrong).toEqual([]);
    expect([...unknown]).toEqual(['PodMonitor', 'PrometheusRule']);
  });

  describe.each(rendered)('$name', ({ manifests }) => {
    test('has a worker whose grace period covers its drain, and probes that no outage fails', () => {
      const { pod, env, container } = podOf(manifests, 'worker');
      const needed = Number(env['DRAIN_TIMEOUT_SECONDS']) + Number(env['KILL_GRACE_SECONDS']);
      expect(pod.terminationGracePeriodSeconds).toBe(needed + 30);
      for (const { livenessProbe } of [container, podOf(manifests, 'api').container])
        expect(livenessProbe?.httpGet).toEqual({ path: '/livez', port: 'metrics' });
    });

    test('has selectors that find exactly their pods', () => {
      const pods = podsOf(manifests);
      const selecting = manifests.flatMap(({ kind, metadata, spec }) => {
        if (['HorizontalPodAutoscaler', 'PodMonitor', 'PrometheusRule'].includes(kind)) return [];
        const selector = (spec?.selector?.['matchLabels'] ?? spec?.selector ?? spec?.podSelector?.matchLabels) as
          | Record<string, string>
          | undefined;
        return selector ? [{ kind, name: metadata.name, selector }] : [];
      });
      expect(selecting.length).toBeGreaterThan(3);
      for (const { kind, name, selector } of selecting) {
        const found = pods.filter(({ labels }) =>
          Object.entries(selector).every(([key, value]) => labels[key] === value),
        );
        expect({ kind, found: found.map((pod) => pod.name) }).toEqual({ kind, found: [name] });
      }
      const workloads = new Set(
        manifests.filter(({ kind }) => kind === 'Deployment').map(({ metadata }) => metadata.name),
      );
      for (const { spec } of manifests.filter(({ kind }) => kind === 'HorizontalPodAutoscaler'))
        expect(workloads).toContain(spec?.scaleTargetRef?.name);
    });

    test('passes secrets by reference only', () => {
      const secrets = /SECRET|PASSWORD|REDISCLI_AUTH/;
      const containers = podsOf(manifests).flatMap(({ pod }) => [...(pod.initContainers ?? []), ...pod.containers]);
      const given = containers.flatMap(({ env }) => env ?? []).filter(({ name }) => secrets.test(name));
      expect(given.length).toBeGreaterThan(5);
      for (const { name, value, valueFrom } of given) {
        expect({ name, value }).toEqual({ name, value: undefined });
        expect(valueFrom?.secretKeyRef.key).toMatch(/SECRET|PASSWORD/);
      }
      const initial = containers.filter(({ env }) => env?.some(({ name }) => name.startsWith('INITIAL_')));
      expect(new Set(initial.map(({ name }) => name))).toEqual(new Set(['migrate']));
      const signing = containers.filter(({ env }) => env?.some(({ name }) => name === 'SECRET_KEY_BASE'));
      expect(signing.map(({ name }) => name)).toEqual(['api']);
    });

    test('confines every container', () => {
      for (const { name, pod } of podsOf(manifests)) {
        expect({ name, token: pod.automountServiceAccountToken, links: pod.enableServiceLinks }).toEqual({
          name,
          token: false,
          links: false,
        });
        for (const { securityContext } of [...(pod.initContainers ?? []), ...pod.containers]) {
          expect(securityContext).toMatchObject({ allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } });
        }
      }
      const { securityContext: api } = podOf(manifests, 'api').container;
      expect(api).toMatchObject({ runAsNonRoot: true, runAsUser: 10001, readOnlyRootFilesystem: true });
    });
  });

  test.each([
    ['as it is', 'job', undefined, ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'SETGID', 'SETUID']],
    ['with servers and secrets of your own', undefined, undefined, undefined],
    ['with everything on', undefined, '200000', ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'SETGID', 'SETUID']],
  ])('%s, is root only to become the user of a command', (name, jobUser, uidBase, added) => {
    const { env, container } = podOf(rendered.find((one) => one.name === name)?.manifests ?? [], 'worker');
    expect(env['JOB_USER']).toBe(jobUser);
    expect(env['JOB_UID_BASE']).toBe(uidBase);
    expect(container.securityContext.capabilities.add).toEqual(added);
    expect(container.securityContext.runAsUser).toBe(added ? 0 : 10001);
  });

  const secrets = Object.entries(environment.shape).filter(([, schema]) => aboutSetting(schema).isSecret);

  test.each(secrets.map(([name]) => name))('does not take the secret %s among its settings', (name) => {
    const { status, stderr } = template({ settings: { [name]: 'x' } });
    expect(status).not.toBe(0);
    expect(stderr).toContain('belongs into the secret');
  });

  test('lets its own test reach the API where few may', () => {
    const { manifests } = rendered.find(({ name }) => name === 'with everything on') ?? { manifests: [] };
    const policy = manifests.find(
      ({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'everything-api',
    );
    const pods =
      policy?.spec?.ingress?.[0]?.from?.flatMap(({ podSelector }) => (podSelector ? [podSelector] : [])) ?? [];
    const labels = manifests.find(({ kind }) => kind === 'Pod')?.metadata.labels;
    expect(pods).toHaveLength(1);
    expect(labels).toMatchObject(pods[0]?.matchLabels ?? { none: '' });
  });

  test('writes large numbers out', () => {
    const { env } = podOf(rendered.find(({ name }) => name === 'with everything on')?.manifests ?? [], 'worker');
    expect(env['OUTPUT_LIMIT_BYTES']).toBe('16777216');
  });

  test('brings the alert rules as they stand in deploy/prometheus', () => {
    const rules = rendered
      .find(({ name }) => name === 'with everything on')
      ?.manifests.find(({ kind }) => kind === 'PrometheusRule');
    const file = fileURLToPath(new URL('../../deploy/prometheus/alerts.yaml', import.meta.url));
    expect(rules?.spec).toEqual(parse(readFileSync(file, 'utf8')));
  });

  test('makes secrets that are new each time', () => {
    const secretOf = (manifests: Manifest[]) => manifests.find(({ kind }) => kind === 'Secret')?.data ?? {};
    const values = [
      ...Object.values(secretOf(rendered[0]?.manifests ?? [])),
      ...Object.values(secretOf(template({}).manifests)),
    ];
    expect(values.length).toBe(12);
    expect(new Set(values).size).toBe(12);
    expect(secretOf(rendered[1]?.manifests ?? [])).toEqual({});
  });

  test.each([
    [{ database: { host: 'db' } }, 'set mysql.enabled=false'],
    [{ mysql: { enabled: false } }, 'database.host has to name a server'],
    [{ mysql: { enabled: false }, database: { host: 'db' } }, 'secret.existing has to name a secret'],
    [{ redisServer: { enabled: false } }, 'redis.host has to name a server'],
    [{ settings: { DRAIN_TIMEOUT_SECONDS: 600 } }, 'this chart has a value of its own for it'],
    [{ api: { settings: { SECRET_KEY_BASE: 'x' } } }, 'belongs into the secret'],
    [{ ingress: { enabled: true } }, 'ingress.host is missing'],
    [{ worker: { drainTimeOut: 60 } }, 'drainTimeOut'],
    [{ worker: { commands: { runAs: 'root' } } }, 'runAs'],
  ])('refuses %j', (values, message) => {
    const { status, stderr } = template(values);
    expect(status).not.toBe(0);
    expect(stderr).toContain(message);
  });
});
