// Validates an OpenAPI document with two parsers: `node parsers.js FILE`.
import { readFileSync } from 'node:fs';
import SwaggerParser from '@apidevtools/swagger-parser';
import { validate } from '@scalar/openapi-parser';

const text = readFileSync(process.argv[2], 'utf8');
const faults = [];
await SwaggerParser.validate(JSON.parse(text)).catch((error) => faults.push(`swagger-parser: ${error.message}`));
const scalar = await validate(text);
if (!scalar.valid) faults.push(`Scalar: ${JSON.stringify(scalar.errors)}`);
faults.forEach((fault) => console.error(fault));
process.exitCode = faults.length ? 1 : 0;
