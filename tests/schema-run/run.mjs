// 1,000 answers under the schemas of the goldens at temperature 1.5, by the CLI, read by ajv: all must be valid; those that the token limit ended
// are counted apart: closed if they are valid all the same, else cut. node run.mjs [ANSWERS] [MODEL...]
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv/dist/2020.js';
import Ajv7 from 'ajv';
import addFormats from 'ajv-formats';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const shared = join(root, '../shared');
const answers = Number(process.argv[2] ?? 1000);
const models = process.argv.length > 3 ? process.argv.slice(3) : [join(root, 'models/stories.q8_0.gguf'), join(shared, 'models/smollm2-135m-instruct.q4_1.gguf')];
const cli = process.env.NATIVEGEN_CLI ?? join(root, 'src/NativeGen.Cli/bin/Debug/net10.0/NativeGen.Cli.dll');
const folder = mkdtempSync(join(tmpdir(), 'schema-run-'));

// ajv knows multiples of fractions only up to a precision, and takes JavaScript's own members (constructor) for the object's unless told not to; draft 07's items lists are its other class's.
const settings = { strict: false, multipleOfPrecision: 9, ownProperties: true, allErrors: false, logger: false };
const validator = schema => {
  for (const Class of [Ajv, Ajv7]) {
    try {
      const ajv = new Class(settings);
      addFormats(ajv);
      return ajv.compile(schema);
    } catch { /* the other draft, or a schema that ajv refuses */ }
  }
  return null;
};

const cases = ['schema_real.json', 'schema_suite.json'].flatMap(file => JSON.parse(readFileSync(join(shared, 'fixtures/grammar', file))).cases);
const usable = cases.map((c, i) => ({ ...c, check: validator(c.schema), file: join(folder, `${i}.json`) })).filter(c => c.check !== null);
for (const c of usable) writeFileSync(c.file, JSON.stringify(c.schema));

const run = args => new Promise(done => execFile('dotnet', [cli, ...args], { maxBuffer: 1 << 26 }, (error, out, err) => done({ code: error?.code ?? 0, out, err })));
const total = { valid: 0, closed: 0, invalid: 0, cut: 0 };
const refused = new Set();
const each = Math.max(1, Math.ceil(answers / models.length / usable.length));
const seed = Math.floor(Math.random() * 1e6);
console.log(`seed ${seed}, ${usable.length} schemas of ${cases.length} (ajv takes no others), ${each} answers each`);
for (const model of models) {
  const mine = { valid: 0, closed: 0, invalid: 0, cut: 0 };
  for (let i = 0; mine.valid + mine.closed + mine.invalid + mine.cut < answers / models.length; i++) {
    const c = usable[i % usable.length];
    if (i > usable.length * 50) break;
    if (refused.has(c.name)) continue;
    const result = await run(['generate', '-m', model, '--json', '--json-schema', c.file, '--temperature', '1.5', '--top-k', '0', '--top-p', '1', '--min-p', '0', '-n', '160',
      '--num-return-sequences', String(each), '--seed', String(seed + i), '--context-length', '512', 'Once upon a time']);
    if (result.code === 2) { refused.add(c.name); continue; }
    if (result.code !== 0) throw new Error(`${c.name}: exit ${result.code}: ${result.err}`);
    for (const sequence of JSON.parse(result.out).sequences) {
      let good = false;
      try { good = c.check(JSON.parse(sequence.text)); } catch { /* not JSON */ }
      if (/length|context/i.test(sequence.finish_reason)) { good ? mine.closed++ : mine.cut++; continue; }
      good ? mine.valid++ : mine.invalid++;
      if (!good) console.log(`INVALID ${c.name}: ${sequence.text}\n  ${JSON.stringify(c.schema)}\n  ${JSON.stringify(c.check.errors)}`);
    }
  }
  console.log(`${model.split('/').pop()}: ${mine.valid} valid, ${mine.closed} closed by the limit, ${mine.invalid} invalid, ${mine.cut} cut`);
  for (const k of Object.keys(total)) total[k] += mine[k];
}
console.log(`together: ${total.valid} valid, ${total.closed} closed by the limit, ${total.invalid} invalid, ${total.cut} cut; ${refused.size} schemas refused by the compiler`);
process.exit(total.invalid > 0 ? 1 : 0);
