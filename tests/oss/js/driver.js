// Calls ali-oss for the tests: a line of JSON in, {method, args}; a line of JSON out. Buffers travel as {"$base64": …}.
const readline = require('readline');
const OSS = require('ali-oss');

const client = new OSS(JSON.parse(process.env.ALI_OSS_OPTIONS));
const revive = (_, value) => (value && value.$base64 !== undefined ? Buffer.from(value.$base64, 'base64') : value);
const bytes = data => (Buffer.isBuffer(data) ? data.toString('base64') : '');

async function call({ method, args }) {
  try {
    const result = await client[method](...args);
    const { res, content, ...value } = result && typeof result === 'object' ? result : { value: result };
    return { value, status: res && res.status, headers: res && res.headers, body: bytes(content) };
  } catch (error) {
    const headers = error.res && error.res.headers;
    return { error: { status: error.status, code: error.code, name: error.name, message: error.message, headers } };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await call(JSON.parse(line, revive)))}\n`);
  }
}

main();
