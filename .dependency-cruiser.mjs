/**
 * The layer order: imports point downward only, and each outside library enters through one folder.
 * A folder may import what stands after it in its list.
 */
const mayImport = {
  api: ['services', 'store', 'redis', 'platform', 'domain'],
  doctor: ['worker', 'store', 'redis', 'platform', 'domain'],
  services: ['store', 'redis', 'platform', 'domain'],
  worker: ['store', 'redis', 'platform', 'domain', 'runner/protocol', 'runner/escapees', 'runner/cgroup'],
  scheduler: ['store', 'redis', 'platform', 'domain'],
  embedded: ['platform', 'domain'],
  store: ['platform', 'domain'],
  redis: ['platform', 'domain'],
  platform: ['domain'],
  runner: [],
  domain: [],
};
const library = {
  '(hono|@hono/[^/]+)': ['api', 'commands'],
  '(drizzle-orm|mysql2)': ['store'],
  '(ioredis|redlock)': ['redis'],
  '(jose|bcryptjs)': ['services'],
  croner: ['domain'],
  'chrono-node': ['domain'],
  cronstrue: ['domain'],
  execa: ['embedded'],
  '(ofetch|undici|ipaddr.js)': ['worker'],
  '(pino|pino-pretty)': ['platform'],
  'prom-client': ['platform'],
};

const layers = Object.entries(mayImport).map(([layer, allowed]) => ({
  name: `layer-${layer}`,
  comment: `src/${layer} imports only ${[layer, ...allowed].join(', ')}`,
  severity: 'error',
  from: { path: `^src/${layer}/` },
  to: { path: '^src/', pathNot: [layer, ...allowed].map((folder) => `^src/${folder}[/.]`) },
}));

const libraries = Object.entries(library).map(([packages, folders]) => ({
  name: `library-${packages.replaceAll(/[^a-z0-9-]+/g, '_')}`,
  comment: `enters only through ${folders.map((folder) => `src/${folder}`).join(', ')}`,
  severity: 'error',
  from: { path: '^src/', pathNot: folders.map((folder) => `^src/${folder}/`) },
  to: { path: `^node_modules/${packages}/` },
}));

export default {
  forbidden: [
    ...layers,
    ...libraries,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'nothing-imports-the-entry',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^src/main\\.ts$' },
    },
    {
      name: 'no-test-code-in-src',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    parser: 'swc',
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
