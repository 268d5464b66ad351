// node schema.mjs <service.yaml>: prints what the published schema of the PowerSync Service's settings has against the file, as a JSON
// list. The schema lets names pass that it does not know; here they are faults.
//
// The schema is licensed under FSL-1.1-ALv2: it judges here, and is never shipped.
import fs from 'node:fs';
import schema from '@powersync/service-schema/schema.json' with { type: 'json' };
import Ajv from 'ajv';
import { parse } from 'yaml';

// strict returns a schema that knows no other names than it lists, and no types of connections but Postgres.
function strict(node) {
  if (Array.isArray(node)) {
    const postgres = node.filter((branch) => branch?.properties?.type?.const === 'postgresql');
    return (postgres.length > 0 ? postgres : node).map(strict);
  }
  if (node === null || typeof node !== 'object') {
    return node;
  }
  const copy = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, strict(value)]));
  if (Object.keys(node.properties ?? {}).length > 0 && node.additionalProperties === true) {
    copy.additionalProperties = false;
  }
  return copy;
}

// The value of a variable of the environment, as in "!env PS_SOURCE_URI": any text.
const env = { tag: '!env', resolve: (name) => `value of ${name}` };
const settings = parse(fs.readFileSync(process.argv[2], 'utf8'), { customTags: [env] });

const faults = [schema, strict(schema)].flatMap((rules) => {
  const validate = new Ajv({ strict: false, allErrors: true }).compile(rules);
  return validate(settings) ? [] : validate.errors;
});
console.log(JSON.stringify(faults.map((fault) => `${fault.instancePath} ${fault.message} ${JSON.stringify(fault.params)}`)));
