import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import t from 'tap'
import { packageOf } from '../../workers/aws/client-names.ts'
import { methodName } from '../../workers/aws/method-name.ts'
import { startAws } from './aws/aws-server.ts'
import { call, resultOf } from './aws/call.ts'
import { smallAws } from './aws/small-aws.ts'
import { startApp } from './perform.ts'

/** From botocore: its rule, and where it makes exceptions. */
const METHODS: { readonly [operation: string]: string } = {
  ListBuckets: 'list_buckets',
  ListObjectsV2: 'list_objects_v2',
  GetBucketACL: 'get_bucket_acl',
  DescribeDBInstances: 'describe_db_instances',
  DescribeVpcs: 'describe_vpcs',
  ListMFADevices: 'list_mfa_devices',
  ListSSHPublicKeys: 'list_ssh_public_keys',
  PutLogEvents: 'put_log_events',
  GetSAMLProvider: 'get_saml_provider',
  ListWebACLs: 'list_web_acls',
  DescribeAccountIDs: 'describe_account_ids',
  CreateCachediSCSIVolume: 'create_cached_iscsi_volume',
  DescribeStorediSCSIVolumes: 'describe_stored_iscsi_volumes',
  ListHITs: 'list_hits',
  ListHITsForQualificationType: 'list_hits_for_qualification_type',
  ExecutePartiQLStatement: 'execute_partiql_statement',
  CreateOAuth2TokenWithIAM: 'create_oauth2_token_with_iam',
  CreateOAuth2TokenWithTokenExchange: 'create_o_auth2_token_with_token_exchange',
  SendWhatsAppMessage: 'send_whatsapp_message',
  StartOTelEnrichment: 'start_otel_enrichment',
}

t.test('operations have the names that boto3 gives to its methods', async (t) => {
  t.same(Object.keys(METHODS).map(methodName), Object.values(METHODS))
})

t.test('clients have the packages that the SDK has by the ids of the services', async (t) => {
  const packages = {
    s3: 's3',
    ses: 'ses',
    sesv2: 'sesv2',
    logs: 'cloudwatch-logs',
    events: 'eventbridge',
    stepfunctions: 'sfn',
    elb: 'elastic-load-balancing',
    elbv2: 'elastic-load-balancing-v2',
    'cognito-idp': 'cognito-identity-provider',
    ce: 'cost-explorer',
    route53: 'route-53',
    toString: 'toString',
  }
  for (const [client, name] of Object.entries(packages)) {
    t.equal(packageOf(client), `@aws-sdk/client-${name}`)
  }
})

t.test('a client that is installed where the server runs is used', async (t) => {
  const sts = dirname(createRequire(import.meta.url).resolve('@aws-sdk/client-sts/package.json'))
  const old = `
    exports.OldClient = class { constructor() { this.middlewareStack = { add() {} } } destroy() {} }
    exports.AskCommand = class { constructor(input) { this.input = input } }`
  const folder = t.testdir({
    node_modules: {
      '@aws-sdk': {
        'client-my-sts': t.fixture('symlink', sts),
        'client-broken': { 'index.js': 'throw new Error("no good")' },
        'client-empty': { 'index.js': '' },
        'client-old': { 'index.js': old },
      },
    },
  })
  const before = process.cwd()
  process.chdir(folder)
  t.teardown(() => process.chdir(before))
  const [app, aws] = await Promise.all([startApp(t), startAws(t, smallAws())])
  const task = await call(app, aws.url, { client: 'my-sts', service: 'get_caller_identity' })
  t.match(resultOf(task), { Account: '123456789012' })
  for (const [client, message] of [
    ['broken', /no good/],
    ['empty', /exports no client/],
    ['old', /too old/],
  ] as const) {
    const { error } = await call(app, aws.url, { client, service: 'ask' })
    t.match(error, { code: 'client-not-installed', message, retryable: false }, client)
  }
})
