import t, { type Test } from 'tap'
import { perform, startApp } from './perform.ts'
import { leaves, readable, readMime } from './smtp/mime.ts'
import { MAIL, makeKeys, startServer } from './smtp/server.ts'

const app = await startApp(t)
const keys = makeKeys(t)

/** Sends by a server of its own, and returns what that got. */
async function send(t: Test, input: object, options: Parameters<typeof startServer>[1] = {}) {
  const server = await startServer(t, { ...keys, ...options })
  const task = await perform(app, 'smtp', { ...MAIL, smtp_port: server.port, ...input })
  const [received] = server.mails
  return { task, server, received, root: received && readMime(received.raw) }
}

t.test('text, HTML and attachments, byte for byte', async (t) => {
  const binary = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7) % 256))
  const text = Buffer.from('.\n..\r\nFrom here\r.\r\n\0 no line break at the end.')
  const letter = Buffer.from('Subject: forwarded\n\nbody\n')
  const base64 = binary.toString('base64').replace(/.{76}/g, '$&\n')
  const { task, root } = await send(t, {
    body: 'Zwölf Boxkämpfer\n.\n..dots\nFrom the start 🎉',
    html: '<p>Zwölf <b>Boxkämpfer</b></p>',
    attachments: [
      { filename: 'data.bin', content: base64 },
      {
        filename: 'Überblick “1”.txt',
        content: text.toString('base64'),
        content_type: 'text/plain; charset=utf-8',
      },
      { filename: 'letter.eml', content: letter.toString('base64') },
      { filename: '../../etc/passwd', content: '', content_type: 'multipart/mixed' },
      { filename: 'picture.png', content: 'AAECAw==' },
    ],
  })
  t.match(task, { status: 'completed' })
  const [plain, html, ...files] = root === undefined ? [] : leaves(root)
  t.equal(
    plain?.content.toString().replaceAll('\r\n', '\n').trim(),
    'Zwölf Boxkämpfer\n.\n..dots\nFrom the start 🎉',
  )
  t.match(plain?.headers['content-type'], /^text\/plain; charset=utf-8/)
  t.match(html?.headers['content-type'], /^text\/html; charset=utf-8/)
  t.equal(html?.content.toString().trim(), '<p>Zwölf <b>Boxkämpfer</b></p>')
  t.match(root?.parts[0]?.headers['content-type'], /^multipart\/alternative/)
  t.same(
    files.map(({ content }) => content),
    [binary, text, letter, Buffer.alloc(0), Buffer.from([0, 1, 2, 3])],
  )
  t.match(
    files.map(({ headers }) => headers['content-type']?.split(';')[0]),
    [
      'application/octet-stream',
      'text/plain',
      'application/octet-stream',
      'application/octet-stream',
      'image/png',
    ],
  )
  for (const { headers } of files) t.match(headers['content-disposition'], /^attachment/)
})

t.test('bodies of any kind arrive', async (t) => {
  const bodies = [
    '',
    '.',
    '\r\n.\r\nQUIT\r\n',
    'x'.repeat(5_000),
    'a\nb\r\nc',
    '日本語'.repeat(500),
  ]
  for (const body of bodies) {
    const { task, root, server } = await send(t, { body })
    t.match(task, { status: 'completed' }, JSON.stringify(body.slice(0, 20)))
    t.equal(server.mails.length, 1)
    t.equal(
      root?.content.toString().replaceAll('\r\n', '\n').trimEnd(),
      body.replaceAll('\r\n', '\n').trimEnd(),
    )
    for (const line of server.mails[0]?.raw.toString('latin1').split('\r\n') ?? [])
      if (line.length > 998 || /[^\x20-\x7e\t]/.test(line)) t.fail(`a line is no mail's: ${line}`)
  }
})

t.test('letters of all the world', async (t) => {
  const subject = '時間です – Zwölf 🎉'.repeat(10)
  const { task, received, root } = await send(t, {
    from: 'Žofie <zofie@bücher.example>',
    to: ['Jürgen Groß <j@münchen.example>', 'δοκιμή@παράδειγμα.example'],
    subject,
  })
  t.match(task, { status: 'completed' })
  t.match(received, {
    from: 'zofie@bücher.example',
    to: ['j@münchen.example', 'δοκιμή@παράδειγμα.example'],
  })
  t.equal(readable(root?.headers.subject), subject)
  t.equal(readable(root?.headers.from), 'Žofie <zofie@xn--bcher-kva.example>')
  t.match(readable(root?.headers.to), 'Jürgen Groß <j@xn--mnchen-3ya.example>, δοκιμή@')
  t.equal(root?.headers['message-id'], `<${task.id}@xn--bcher-kva.example>`)

  const refused = await send(t, { to: 'δοκιμή@example.com' }, { hideSMTPUTF8: true })
  t.match(refused.task, { error: { code: 'address-not-supported', retryable: false } })
  t.same(refused.server.mails, [])
})

t.test('a message of 20 MiB, and the other answers meanwhile', async (t) => {
  const file = Buffer.alloc(14 * 1_048_576, 'mail')
  const server = await startServer(t, keys)
  let longest = 0
  let last = performance.now()
  const beat = setInterval(() => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }, 5)
  t.teardown(() => clearInterval(beat))
  const attachments = [{ filename: 'a.bin', content: file.toString('base64') }]
  const input = { ...MAIL, body: 'ü'.repeat(100_000), attachments, smtp_port: server.port }
  last = performance.now()
  const task = await perform(app, 'smtp', input)
  t.match(task, { status: 'completed' })
  t.comment(`the longest that all else waited: ${Math.round(longest)} ms`)
  const root = readMime(server.mails[0]?.raw ?? Buffer.alloc(0))
  t.ok(leaves(root)[1]?.content.equals(file), 'it arrives whole')
})
