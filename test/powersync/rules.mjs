// node rules.mjs <sync-config.yaml>: what PowerSync's own rule engine makes of rows. On standard input {user, table, columns:
// [{name, oid}], rows: [[text or null, …], …]}, with values as Postgres replicates them; on standard output {buckets: those of the user,
// rows: [{bucket, table, id, data}, …]}.
//
// The engine is licensed under FSL-1.1-ALv2: it judges here, and is never shipped.
import fs from 'node:fs';
import { json } from 'node:stream/consumers';
import { JSONBig, JsonContainer } from '@powersync/service-jsonbig';
import {
  BaseJwtPayload, DateTimeValue, RequestParameters, SqlSyncRules, TimeValuePrecision, toSyncRulesRow, versionedHydrationState,
} from '@powersync/service-sync-rules';

const [file] = process.argv.slice(2);
const { config, errors } = SqlSyncRules.fromYaml(fs.readFileSync(file, 'utf8'), { defaultSchema: 'public', throwOnError: true });
if (errors.length > 0) {
  throw new AggregateError(errors, errors.join('\n')); // warnings too
}
const rules = config.hydrate({ hydrationState: versionedHydrationState(1) });

const microseconds = { subSecondPrecision: TimeValuePrecision.microseconds, defaultSubSecondPrecision: TimeValuePrecision.microseconds };

// time is of a session whose time zone is UTC: "2026-01-02 03:04:05.6789+00".
function time(text) {
  const [, date, clock] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)\+00$/.exec(text);
  return new DateTimeValue(`${date}T${clock}Z`, undefined, microseconds);
}

// The kinds of values by Postgres's OIDs of their types, as the service replicates them.
const kinds = {
  16: (text) => text === 't', // bool
  20: BigInt, 21: BigInt, 23: BigInt, // int8, int2, int4
  25: String, 1043: String, 2950: String, // text, varchar, uuid
  700: Number, 701: Number, // float4, float8
  114: (text) => new JsonContainer(text), 3802: (text) => new JsonContainer(text), // json, jsonb
  1184: time, // timestamptz
};

const { user, table, columns, rows } = await json(process.stdin);
const sourceTable = { connectionTag: 'default', schema: 'public', name: table };
const decode = (row) => Object.fromEntries(row.map((text, i) => [columns[i].name, text === null ? null : kinds[columns[i].oid](text)]));
const evaluate = (row) => rules.evaluateRow({ sourceTable, record: rules.applyRowContext(toSyncRulesRow(decode(row))) });

const { querier, errors: refused } = rules.getBucketParameterQuerier({
  globalParameters: new RequestParameters(new BaseJwtPayload({ sub: user }), {}), hasDefaultStreams: true, streams: {},
});
if (refused.length > 0 || querier.hasDynamicBuckets) {
  throw new Error(`the user's buckets are not known at once: ${JSON.stringify(refused)}`);
}
console.log(JSON.stringify({
  buckets: querier.staticBuckets.map(({ bucket, priority }) => ({ bucket, priority })),
  rows: rows.flatMap(evaluate).map(({ bucket, table: to, id, data }) => ({ bucket, table: to, id, data: JSONBig.stringify(data) })),
}));
