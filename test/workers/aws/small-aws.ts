import { createHash } from 'node:crypto'
import { type Answer, type Handler, jsonError, type Request, s3Error } from './aws-server.ts'

const XML = { 'content-type': 'application/xml' }

/** The least of AWS that the tests speak with: STS, S3, DynamoDB, SQS, logs and step functions. */
export function smallAws(): Handler {
  const objects = new Map<string, Buffer>()
  const items = new Map<string, unknown>()
  return (request) => {
    if (request.service === 's3') return s3(objects, request)
    if (request.service === 'dynamodb') return dynamodb(items, request)
    return OTHERS[request.operation]?.(request) ?? jsonError('UnknownOperationException', 'none')
  }
}

function s3(objects: Map<string, Buffer>, { method, path, body, headers }: Request): Answer {
  if (path === '/') {
    const buckets =
      '<Bucket><Name>photos</Name><CreationDate>2024-02-29T12:00:00.000Z</CreationDate></Bucket>'
    const text = `<ListAllMyBucketsResult><Buckets>${buckets}</Buckets><Owner><ID>me</ID></Owner></ListAllMyBucketsResult>`
    return { headers: { ...XML, 'x-amz-request-id': 'R1', 'x-amz-id-2': 'H1' }, body: text }
  }
  const key = decodeURIComponent(path)
  if (method === 'PUT') {
    const checksum = headers['x-amz-checksum-crc32']
    if (typeof checksum !== 'string') return s3Error('InvalidRequest', 'no checksum', 400)
    objects.set(key, body)
    return { headers: { etag: `"${md5(body)}"`, 'x-amz-checksum-crc32': checksum } }
  }
  const found = objects.get(key)
  if (found === undefined) return s3Error('NoSuchKey', 'The specified key does not exist.', 404)
  const lastModified = new Date(0).toUTCString()
  return {
    headers: {
      etag: `"${md5(found)}"`,
      'last-modified': lastModified,
      'x-amz-meta-color': 'blue',
    },
    body: found,
  }
}

function dynamodb(items: Map<string, unknown>, { operation, body }: Request): Answer {
  const { Item, Key } = JSON.parse(body.toString())
  if (operation === 'PutItem') {
    items.set(JSON.stringify(Item.id), Item)
    return { body: '{}' }
  }
  if (operation !== 'GetItem') return jsonError('UnknownOperationException', 'none')
  return { body: JSON.stringify({ Item: items.get(JSON.stringify(Key.id)) }) }
}

const OTHERS: { readonly [operation: string]: Handler } = {
  GetCallerIdentity: () => ({
    headers: { 'content-type': 'text/xml' },
    body: '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><UserId>AIDAEXAMPLE</UserId><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/anna</Arn></GetCallerIdentityResult><ResponseMetadata><RequestId>R1</RequestId></ResponseMetadata></GetCallerIdentityResponse>',
  }),
  SendMessage: ({ body }) => {
    const { MessageBody } = JSON.parse(body.toString())
    return { body: JSON.stringify({ MD5OfMessageBody: md5(MessageBody), MessageId: 'm-1' }) }
  },
  DescribeLogGroups: () => ({
    body: JSON.stringify({
      logGroups: [{ logGroupName: '/app', creationTime: 1_700_000_000_000 }],
    }),
  }),
  StartExecution: () => ({
    body: JSON.stringify({ executionArn: 'arn:aws:states:x', startDate: 1_700_000_000.5 }),
  }),
}

function md5(data: string | Buffer): string {
  return createHash('md5').update(data).digest('hex')
}
