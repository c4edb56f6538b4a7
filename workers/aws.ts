import { Type } from 'typebox'
import { defineWorker } from '../src/task/worker.ts'

const NAME = '^[a-z0-9][a-z0-9_-]*$'

export default defineWorker({
  name: 'aws',
  details: {
    description:
      'Calls the AWS API with the names of boto3: a client, a service (its method) or a waiter, and parameters.',
    input: Type.Object(
      {
        aws_access_key_id: Type.String({ minLength: 1, maxLength: 128 }),
        aws_secret_access_key: Type.String({ minLength: 1, maxLength: 256, writeOnly: true }),
        session_token: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 16_384,
            writeOnly: true,
            description: 'Of temporary credentials',
          }),
        ),
        region: Type.Optional(
          Type.String({
            pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$',
            description:
              'Without it that of the server: AWS_REGION, then AWS_DEFAULT_REGION of its environment',
          }),
        ),
        client: Type.String({
          maxLength: 64,
          pattern: '^[a-z0-9][a-z0-9-]*$',
          description: 'As boto3 names it: s3, logs, stepfunctions, …',
        }),
        service: Type.Optional(
          Type.String({
            maxLength: 128,
            pattern: NAME,
            description: 'A method of the client: list_buckets',
          }),
        ),
        waiter: Type.Optional(
          Type.String({
            maxLength: 128,
            pattern: NAME,
            description: 'A waiter of the client, in the place of a method: bucket_exists',
          }),
        ),
        parameters: Type.Object(
          {},
          {
            additionalProperties: true,
            default: {},
            description:
              'The arguments of the method; of a waiter also WaiterConfig: { Delay, MaxAttempts }',
          },
        ),
        endpoint_url: Type.Optional(
          Type.String({
            maxLength: 2_048,
            pattern: '^https?://[^\\s/?#@]+(/[^\\s?#]*)?$',
            description: 'In the place of the endpoint of AWS',
          }),
        ),
        timeout: Type.Integer({
          minimum: 1,
          maximum: 86_400_000,
          default: 60_000,
          description: 'Milliseconds for the whole call, of a waiter for all its attempts',
        }),
      },
      {
        oneOf: [{ required: ['service'] }, { required: ['waiter'] }],
        // Beside a oneOf, Errand leaves it to the schema.
        additionalProperties: false,
      },
    ),
    output: Type.Object({
      result: Type.Object(
        {},
        {
          additionalProperties: true,
          description: 'The members of the answer, and ResponseMetadata',
        },
      ),
    }),
    example: {
      aws_access_key_id: 'AKIAIOSFODNN7EXAMPLE',
      aws_secret_access_key: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      region: 'eu-central-1',
      client: 's3',
      service: 'list_objects_v2',
      parameters: { Bucket: 'my-bucket', MaxKeys: 10 },
      timeout: 60_000,
    },
  },
  async perform(input, task) {
    const { callAws } = await import('./aws/call.ts')
    return { result: await callAws(input, task) }
  },
})
