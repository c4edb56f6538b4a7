import t from 'tap'
import { UserTokens } from '../../routes/user-tokens.ts'
import { createApp } from '../../src/app.ts'
import { settled } from '../workers/perform.ts'

const key = 'a-key-of-the-test'

t.test('a token is given out for the own origins alone', async (t) => {
  const tokens = new UserTokens(key)
  tokens.serve('https://errand.example.com/base')
  t.type(tokens.issue('https://errand.example.com/base/tasks'), 'string')
  for (const url of [
    'http://errand.example.com/base/',
    'https://errand.example.com/other',
    'https://errand.example.com/based/',
    'https://errand.example.com:444/',
    'https://x.errand.example.com/',
    'https://errand.example.com@evil.example/',
    'nowhere',
    '',
  ])
    t.equal(tokens.issue(url), undefined, url)
})

t.test('a token is good for five minutes, with its own key, and as it was signed', async (t) => {
  const tokens = new UserTokens(key)
  tokens.serve('http://a')
  const token = tokens.issue('http://a/') ?? ''
  t.ok(tokens.isValid(token))
  t.notOk(new UserTokens('another-key').isValid(token))
  const [head, expires, signature = ''] = token.split('.')
  const later = (Number.parseInt(expires ?? '', 36) + 60).toString(36)
  const bad = [
    '',
    'errand',
    token.slice(0, -1),
    `${token}A`,
    `${head}.${later}.${signature}`,
    `${head}.${expires}.${'A'.repeat(43)}`,
    `Errand.${expires}.${signature}`,
  ]
  for (const other of bad) t.notOk(tokens.isValid(other), other)
  const realNow = Date.now
  t.teardown(() => {
    Date.now = realNow
  })
  Date.now = () => realNow() + 299_000
  t.ok(tokens.isValid(token))
  Date.now = () => realNow() + 301_000
  t.notOk(tokens.isValid(token))
})

t.test('a task calls its own server with it, and no other', async (t) => {
  const tokens: (string | undefined)[] = []
  const app = await createApp({
    apiKey: key,
    logLevel: 'silent',
    builtins: false,
    workers: [
      {
        name: 'w',
        details: { description: 'Takes a token', input: {} },
        perform(url: string, task) {
          tokens.push(task.userToken(url))
          return null
        },
      },
    ],
  })
  t.teardown(() => app.close())
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const other = 'http://127.0.0.2:1/'
  for (const input of [url, url.replace('127.0.0.1', 'localhost'), other]) {
    const { task } = await app.errand.submit('w', input)
    await settled(app, task.id)
  }
  const [own, byName, foreign] = tokens
  t.equal(foreign, undefined)
  for (const token of [own, byName]) {
    const response = await fetch(`${url}/workers`, {
      headers: { authorization: `Bearer ${token}` },
    })
    t.equal(response.status, 200)
  }
  const forged = await fetch(`${url}/workers`, { headers: { authorization: `Bearer ${own}x` } })
  t.equal(forged.status, 401)
})
