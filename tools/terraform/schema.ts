import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Bindings that are generated from the schema of the AWS provider, which itself comes from no package registry. */
const PACKAGE = '@cdktn/provider-aws@25.7.0';

type TypeJson = string | [string, TypeJson] | ['object', Record<string, TypeJson>];

interface Attribute {
  type: TypeJson;
  required: boolean;
  optional: boolean;
  computed: boolean;
  writeOnly: boolean;
}

interface NestedBlock {
  nesting: 'list' | 'set' | 'single';
  min: number;
  /** 0: any number. */
  max: number;
  block: Block;
}

export interface Block {
  attributes: Record<string, Attribute>;
  blocks: Record<string, NestedBlock>;
}

export interface ProviderSchema {
  version: string;
  provider: Block;
  resource: Record<string, Block>;
  data: Record<string, Block>;
  ephemeral: Record<string, Block>;
}

/** What a configuration uses: `resource aws_lb` and the like. */
export interface Used {
  mode: 'resource' | 'data' | 'ephemeral';
  type: string;
}

/**
 * The schema of the AWS provider, of the given types only, read from its bindings. `folder` keeps their archive.
 * @throws Error naming the types that the provider does not have
 */
export function readSchema(used: Used[], folder: string): ProviderSchema {
  const archive = fetchBindings(folder);
  const work = mkdtempSync(join(tmpdir(), 'bjr-bindings-'));
  try {
    // Types that do not exist are missing afterwards; tar minds them, we say it better.
    const names = ['provider', ...used.map(folderOf)].map((name) => `package/lib/${name}/index.js`);
    spawnSync('tar', ['-xzf', archive, '-C', work, ...names], { stdio: 'ignore' });
    const lib = join(work, 'package/lib');
    const missing = used.filter((type) => !existsSync(join(lib, folderOf(type))));
    const { text, block } = readBindings(join(lib, 'provider'));
    const version = /providerVersion: '([\d.]+)'/.exec(text)?.[1] ?? '';
    if (missing.length > 0)
      throw new Error(
        `AWS provider ${version} has no ${missing.map(({ mode, type }) => `${mode} ${type}`).join(', ')}`,
      );
    const schema: ProviderSchema = { version, provider: block, resource: {}, data: {}, ephemeral: {} };
    for (const type of used) schema[type.mode][type.type] = readBindings(join(lib, folderOf(type))).block;
    return schema;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** `aws_lb_listener` is in lb-listener, `aws_subnet` as data in data-aws-subnet. */
function folderOf({ mode, type }: Used): string {
  const name = type.replaceAll('_', '-');
  return mode === 'resource' ? name.replace(/^aws-/, '') : `${mode}-${name}`;
}

function fetchBindings(folder: string): string {
  const archive = join(folder, PACKAGE.replace(/^.*@/, 'bindings-').concat('.tgz'));
  if (existsSync(archive)) return archive;
  console.log(`Fetching ${PACKAGE} (once, 46 MB) …`);
  const work = `${archive}-${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    const pack = ['pack', '--silent', '--pack-destination', work, PACKAGE];
    execFileSync('npm', pack, { cwd: work, stdio: ['ignore', 'ignore', 'inherit'] });
    const [name = ''] = readdirSync(work);
    renameSync(join(work, name), archive);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return archive;
}

interface Bindings {
  text: string;
  block: Block;
}

/**
 * A file of bindings is regular: for each block a function that names its arguments with their types, and a class whose
 * comments say what is required, optional and computed.
 */
function readBindings(path: string): Bindings {
  const text = readFileSync(join(path, 'index.js'), 'utf8').replace(/\/\/# sourceMappingURL=.*/, '');
  const main = /^class (\w+) extends cdktn\.Terraform\w+ \{$/m.exec(text)?.[1];
  if (!main) throw new Error(`${path}: no class of a resource`);
  const body = bodyOf(text, `class ${main} extends`);
  return { text, block: readBlock(text, body, body) };
}

/** From a line that begins with `start` to the closing brace in the first column. */
function bodyOf(text: string, start: string): string {
  const from = text.indexOf(`\n${start}`);
  if (from < 0) throw new Error(`The bindings have no "${start}"`);
  return text.slice(from, text.indexOf('\n}', from));
}

const FLAGS =
  /^ {4}\/\/ (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n([\s\S]*?)(?=^ {4}\/\/ \w+ - computed|^ {4}\/\/ =====|(?![\s\S]))/gm;
const ARGUMENT =
  /^ +(\w+): \{\n +value: (.*),\n +isBlock: (true|false),\n +type: "(\w+)",\n +storageClassType: "(\w+)",$/gm;

interface Flags {
  computed: boolean;
  optional: boolean;
  required: boolean;
}

/** `argumentsBody` has what may be written, `classBody` that and what the provider alone sets. */
function readBlock(text: string, classBody: string, argumentsBody: string): Block {
  const block: Block = { attributes: {}, blocks: {} };
  const flags = new Map<string, Flags & { code: string }>();
  for (const [, name = '', computed, optional, required, code = ''] of classBody.matchAll(FLAGS))
    flags.set(name, {
      computed: computed === 'true',
      optional: optional === 'true',
      required: required === 'true',
      code,
    });
  for (const [, name = '', value = '', isBlock, kind = '', storage = ''] of argumentsBody.matchAll(ARGUMENT)) {
    const { code: _, ...own } = flags.get(name) ?? { computed: false, optional: true, required: false, code: '' };
    flags.delete(name);
    if (isBlock === 'true') block.blocks[name] = readNested(text, { value, kind, isRequired: own.required });
    else {
      const writeOnly = value.includes('markWriteOnlyAttribute');
      block.attributes[name] = { type: typeOfArgument(kind, storage), ...own, writeOnly };
    }
  }
  for (const [name, { code, ...own }] of flags)
    block.attributes[name] = { type: typeOfResult(text, code), ...own, writeOnly: false };
  return block;
}

function readNested(text: string, { value, kind, isRequired }: { value: string; kind: string; isRequired: boolean }) {
  const isMany = value.includes('listMapperHcl(');
  const name = /(\w+)ToHclTerraform/.exec(value)?.[1] ?? '';
  const className = `class ${name[0]?.toUpperCase()}${name.slice(1)}OutputReference extends`;
  // The provider's own blocks have no such class: nothing refers to them.
  const classBody = text.includes(className) ? bodyOf(text, className) : '';
  return {
    nesting: kind === 'struct' ? ('single' as const) : kind === 'set' ? ('set' as const) : ('list' as const),
    min: isRequired && kind !== 'struct' ? 1 : 0,
    max: isMany || kind === 'struct' ? 0 : 1,
    block: readBlock(text, classBody, bodyOf(text, `function ${name}ToHclTerraform(`)),
  };
}

const SIMPLE: Record<string, string> = { string: 'string', boolean: 'bool', number: 'number', any: 'dynamic' };

function typeOfArgument(kind: string, storage: string): TypeJson {
  const simple = SIMPLE[storage.replace(/(List|Map)$/, '')];
  if (!simple) throw new Error(`An argument of the unknown type ${kind} of ${storage}`);
  return kind === 'simple' ? simple : [kind, simple];
}

const RESULTS: Record<string, TypeJson> = {
  String: 'string',
  Number: 'number',
  Boolean: 'bool',
  StringMap: ['map', 'string'],
  NumberMap: ['map', 'number'],
  BooleanMap: ['map', 'bool'],
};

/** What only the provider sets has no argument: its type is in the getter. */
function typeOfResult(text: string, code: string): TypeJson {
  const [, className, wrapsSet] = /new (\w+)List\(this, ["']\w+["'], (true|false)\)/.exec(code) ?? [];
  if (className) {
    const { attributes } = readBlock(text, bodyOf(text, `class ${className}OutputReference extends`), '');
    const object = Object.fromEntries(Object.entries(attributes).map(([name, { type }]) => [name, type]));
    return [wrapsSet === 'true' ? 'set' : 'list', ['object', object]];
  }
  const getter = /this\.get(\w+)Attribute\(/.exec(code)?.[1] ?? /new cdktn\.(\w+Map)\(/.exec(code)?.[1] ?? '';
  const collection = code.includes('Fn.tolist(') ? 'set' : 'list';
  if (getter === 'List') return [collection, 'string'];
  if (getter === 'NumberList') return [collection, 'number'];
  const type = RESULTS[getter];
  if (!type) throw new Error(`A result of an unknown type: ${code.slice(0, 200)}`);
  return type;
}
