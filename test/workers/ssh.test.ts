import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { until } from '../until.ts'
import { perform, startApp } from './perform.ts'
import { makeKey, makeUser, Sshd } from './ssh/sshd.ts'

const KEYS_ONLY = ['PasswordAuthentication no', 'KbdInteractiveAuthentication no']

const server = await Sshd.start(t, { hostKeys: ['ed25519', 'rsa', 'ecdsa'] })
if (server === undefined) process.exit()
const sshd: Sshd = server
const app = await startApp(t)

async function run(script: string, more: object = {}) {
  return perform(app, 'ssh', sshd.input(script, more))
}

/** Where a script says that its file is; it must be gone soon after. */
async function isRemoved(output: unknown): Promise<boolean> {
  const { report } = output as { report: string }
  const [path] = /\/\S*tmp\.\S+/.exec(report) ?? []
  if (path === undefined) throw new Error(`no path in ${report}`)
  return until(() => !readdirSync(tmpdir()).includes(path.replace(/^.*\//, '')))
}

t.test('a script is run, and its output is in its order', async (t) => {
  const script = 'echo one; echo two >&2; printf "%s\\n" "drei ✓ 𝒳"; echo four >&2'
  const task = await run(script)
  t.match(task, { status: 'completed' })
  t.same(task.output, { retcode: 0, report: 'one\ntwo\ndrei ✓ 𝒳\nfour\n' })
  const lines = (await app.errand.logs(task.id)).map(({ level, message }) => [level, message])
  t.same(lines, [
    ['info', 'one'],
    ['info', 'two'],
    ['info', 'drei ✓ 𝒳'],
    ['info', 'four'],
  ])
})

t.test('debug mode, which is the default, shows the commands', async (t) => {
  const { 'bash-debug-mode': _, ...input } = sshd.input('echo one\necho two')
  const task = await perform(app, 'ssh', input)
  t.same(task.output, { retcode: 0, report: '+ echo one\none\n+ echo two\ntwo\n' })
  const levels = (await app.errand.logs(task.id)).map(({ level }) => level)
  t.same(levels, ['debug', 'info', 'debug', 'info'])
})

t.test('a script that exits with another code than 0 has failed', async (t) => {
  for (const retcode of [1, 3, 124, 126, 127, 137, 143, 255]) {
    const task = await run(`echo "$0"; exit ${retcode}`)
    const error = { code: 'script-failed', retryable: false }
    t.match(task, { status: 'failed', error, output: { retcode } }, `${retcode}`)
    t.ok(await isRemoved(task.output), 'its file is gone')
  }
})

t.test('a script that a signal ends', async (t) => {
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGHUP', 'SIGSEGV']) {
    const task = await run(`echo "$0"; kill -${signal.slice(3)} $$; sleep 60`)
    t.match(task, { status: 'failed', error: { code: 'script-killed' } })
    t.match(task.error?.message, `ended by ${signal}.`)
    t.ok(await isRemoved(task.output), 'its file is gone')
  }
})

t.test('a script that signals its whole group', async (t) => {
  const task = await run('trap "" TERM; echo "$0"; kill 0; echo still here')
  t.match(task.output, { retcode: 0, report: /still here\n$/ })
  t.ok(await isRemoved(task.output), 'its file is gone')
})

t.test('commands that read stdin read nothing, and eat nothing of the script', async (t) => {
  const script = ['cat', 'read -r line || echo none', 'ssh -V 2>/dev/null', 'wc -c', 'echo end']
  const task = await run(script.join('\n'))
  t.same(task.output, { retcode: 0, report: 'none\n0\nend\n' })
})

t.test('its environment is that of the login, and its file is its own', async (t) => {
  process.env.ERRAND_SSH_TEST = 'forwarded'
  const script = 'env | grep -e ERRAND_SSH -e SSH_AUTH_SOCK; umask; stat -c %a "$0"; jobs'
  const task = await run(script)
  t.same(task.output, {
    retcode: 0,
    report: `${execFileSync('sh', ['-c', 'umask'], { encoding: 'utf8' })}600\n`,
  })
})

t.test('any text is a script', async (t) => {
  const odd = `'"'"'$(echo no)\`echo no\`\\n!! %s #  ✓\t"`
  const heredoc = `cat <<'END'\n${odd}\nEND\n`
  t.same((await run(heredoc)).output, { retcode: 0, report: `${odd}\n` })
  const large = `: '${'✓'.repeat(300_000)}'\necho "\${#BASH_SOURCE}"; echo end`
  t.match((await run(large)).output, { retcode: 0, report: /end\n$/ })
  t.match((await run('if')).error, { code: 'script-failed' }, 'one that is wrong fails')
})

t.test('what is left in the background is not waited for', async (t) => {
  const task = await run('sleep 120 & echo "$!"')
  t.match(task, { status: 'completed', output: { retcode: 0 } })
  const { report } = task.output as unknown as { report: string }
  t.ok(process.kill(Number(report), 'SIGKILL'), 'it lives on')
  const [, warning] = await app.errand.logs(task.id)
  t.match(warning, { level: 'warn', message: /left behind/ })
})

t.test('ten megabytes come quickly, and the report is cut in the middle', async (t) => {
  const began = performance.now()
  const task = await run('echo begin; head -c 10000000 /dev/zero | tr "\\0" x; echo; echo end')
  const ms = performance.now() - began
  t.equal(task.status, 'completed')
  const { report } = task.output as unknown as { report: string }
  t.match(report, /^begin\nx+\n\[… 5805\d{3} characters are left out here …\]\nx+\nend\n$/)
  t.ok(report.length < 4_300_000, `${report.length}`)
  t.ok(ms < 10_000, `${Math.round(ms)} ms`)
  const many = await run('seq 1000000')
  t.match(many.output, { retcode: 0, report: /^1\n2\n(?:\d+\n)+\[/ })
})

t.test('host keys in all the forms that people have', async (t) => {
  const keys = ['-p', String(sshd.port), '127.0.0.1']
  const scanned = execFileSync('ssh-keyscan', keys, { stdio: ['ignore', 'pipe', 'ignore'] })
  const known = join(sshd.folder, 'known_hosts')
  const options = ['StrictHostKeyChecking=no', `UserKnownHostsFile=${known}`, 'HashKnownHosts=yes']
  const ssh = [...options.flatMap((option) => ['-o', option]), '-i', sshd.key.path]
  execFileSync('ssh', [...ssh, ...keys, 'true'], { stdio: 'ignore' })
  const listed = execFileSync('ssh-keygen', ['-lf', sshd.hostKeys[0]?.path ?? ''], {
    encoding: 'utf8',
  })
  const forms = {
    'ssh-keyscan': scanned.toString(),
    'a hashed known_hosts': readFileSync(known, 'utf8'),
    'ssh-keygen -l': listed,
    'a fingerprint': /SHA256:\S+/.exec(listed)?.[0],
    'a comment before it': `# web-1\r\n\r\n  ${sshd.hostKeys[0]?.public}`,
  }
  for (const [form, hostkey] of Object.entries(forms)) {
    t.match(await run('true', { hostkey }), { status: 'completed' }, form)
  }
  for (const pair of sshd.hostKeys) {
    const [type = '', base64 = ''] = pair.public.split(' ')
    for (const hostkey of [pair.public, `${type} ${base64}`, base64, `127.0.0.1 ${pair.public}`]) {
      t.match(await run('true', { hostkey }), { status: 'completed' }, hostkey.slice(0, 40))
    }
  }
})

t.test('a host with another key is refused before it is told anything', async (t) => {
  const others = ['ed25519', 'rsa', 'ecdsa'] as const
  for (const type of others) {
    const other = makeKey(join(sshd.folder, `other-${type}`), type)
    const before = sshd.log.split('Connection from').length
    const task = await run('true', { hostkey: other.public, password: 'never sent' })
    t.match(task, { status: 'failed', error: { code: 'host-key-mismatch', retryable: false } })
    const own = sshd.hostKeys.find(({ path }) => path.endsWith(`-${type}`))
    for (const pair of [own, other]) {
      const [, fingerprint = '-'] = execFileSync('ssh-keygen', ['-lf', `${pair?.path}.pub`])
        .toString()
        .split(' ')
      t.ok(task.error?.message.includes(fingerprint), `it names ${fingerprint}`)
    }
    const log = await until(() => {
      const [, ...connections] = sshd.log.split('Connection from').slice(before - 1)
      return connections.join('').includes('[preauth]') && connections.join('')
    })
    t.notMatch(log, /user|publickey|password/i, 'no login was tried')
  }
})

t.test('a key of a type that the host has none of', async (t) => {
  const one = await Sshd.start(t, { hostKeys: ['rsa'] })
  const task = await perform(app, 'ssh', one?.input('true', { hostkey: sshd.hostKeys[0]?.public }))
  t.match(task.error, { code: 'ssh-failed', retryable: false })
  t.match(task.error?.message, /no matching host key format: it has no key of the type/)
})

t.test('host keys that cannot be read', async (t) => {
  const [type = '', base64 = ''] = sshd.hostKeys[0]?.public.split(' ') ?? []
  for (const hostkey of [
    ' \n# nothing\n',
    'nonsense',
    'ssh-ed25519',
    'SHA256:short',
    base64.slice(0, -8),
    `ssh-rsa ${base64}`,
    `@cert-authority * ${type} ${base64}`,
    `${type} ${base64}\nssh-dss AAAAB3NzaC1kc3MAAACBAP==`,
  ]) {
    t.match(await run('true', { hostkey }), { error: { code: 'bad-hostkey' } }, hostkey)
  }
})

t.test('keys of all types, plain and encrypted', async (t) => {
  const pem = ['-m', 'PEM']
  const pkcs8 = ['-m', 'PKCS8']
  const kinds = [
    ['ed25519', '', []],
    ['ed25519', 'a passphrase', []],
    ['rsa', '', []],
    ['rsa', '', pem],
    ['rsa', '', pkcs8],
    ['rsa', 'a passphrase', pem],
    ['rsa', 'a passphrase', pkcs8],
    ['ecdsa', '', []],
    ['ecdsa', '', pkcs8],
    ['ecdsa', 'a passphrase', []],
  ] as const
  for (const [i, [type, passphrase, format]] of kinds.entries()) {
    const pair = makeKey(join(sshd.folder, `login-${i}`), type, passphrase, ...format)
    sshd.allow(pair)
    const secrets = { key: pair.private, ...(passphrase !== '' && { passphrase }) }
    const task = await run('echo in', secrets)
    const name = `${type} ${format.join(' ')} ${passphrase}`
    t.match(task, { status: 'completed', output: { report: 'in\n' } }, name)
    if (passphrase === '') continue
    for (const wrong of [{ key: pair.private }, { ...secrets, passphrase: 'wrong' }]) {
      const { error } = await run('true', wrong)
      t.match(error, { code: 'bad-key', retryable: false }, `${name}: ${error?.message}`)
      t.notMatch(error?.message, /wrong|PRIVATE/)
    }
  }
})

t.test('keys that are none', async (t) => {
  const whole = sshd.key.private
  for (const key of ['nonsense', sshd.key.public, whole.slice(0, 200), whole.replace(/b/g, 'c')]) {
    t.match(await run('true', { key }), { error: { code: 'bad-key', retryable: false } })
  }
})

t.test('a key whose passphrase would take long is not tried', async (t) => {
  const { private: key } = makeKey(join(sshd.folder, 'slow'), 'ed25519', 'slow', '-a', '65')
  const began = performance.now()
  const { error } = await run('true', { key, passphrase: 'slow' })
  t.match(error, { code: 'bad-key', message: /65 rounds/ })
  t.ok(performance.now() - began < 1_000)
})

t.test('a login needs a password or a key', async (t) => {
  const { key: _, ...input } = sshd.input('true')
  for (const none of [{}, { password: '' }, { key: '' }]) {
    const task = await perform(app, 'ssh', { ...input, ...none })
    t.match(task.error, { code: 'no-credentials', retryable: false })
  }
})

t.test('a key that the host does not know', async (t) => {
  const other = makeKey(join(sshd.folder, 'unknown'), 'ed25519')
  const { error } = await run('true', { key: other.private })
  t.match(error, { code: 'login-refused', retryable: false })
  t.match(error?.message, /tried publickey; it takes publickey, password/)
  t.match(await run('true', { login: 'nobody-of-that-name' }), { error: { code: 'login-refused' } })
})

t.test('a password', async (t) => {
  const user = makeUser(t)
  if (user === undefined) return
  const { key: _, ...input } = { ...sshd.input('whoami'), ...user }
  const task = await perform(app, 'ssh', input)
  t.same(task.output, { retcode: 0, report: `${user.login}\n` })
  const refused = await perform(app, 'ssh', { ...input, password: 'a wrong password' })
  t.match(refused.error, { code: 'login-refused', retryable: false })
  t.notMatch(refused.error?.message, /a wrong password/)
  const both = { ...input, key: makeKey(join(sshd.folder, 'refused'), 'ed25519').private }
  t.match((await perform(app, 'ssh', both)).output, { retcode: 0 }, 'after a key that is refused')
  await t.test('a host that takes keys alone is not sent it', async (t) => {
    const keysOnly = await Sshd.start(t, { config: KEYS_ONLY })
    const onlyKeys = { ...keysOnly?.input('true'), key: both.key, password: user.password }
    const { error } = await perform(app, 'ssh', onlyKeys)
    t.match(error?.message, /tried publickey; it takes publickey\)/)
  })
  await t.test('a host that asks for it', async (t) => {
    const asks = await Sshd.start(t, { config: ['UsePAM yes', 'PasswordAuthentication no'] })
    const task = await perform(app, 'ssh', { ...asks?.input('whoami'), key: '', ...user })
    t.same(task.output, { retcode: 0, report: `${user.login}\n` })
    const wrong = { ...asks?.input('whoami'), key: '', ...user, password: 'wrong' }
    t.match((await perform(app, 'ssh', wrong)).error, { code: 'login-refused' })
  })
  await t.test('a host that wants both', async (t) => {
    const wantsBoth = await Sshd.start(t, { config: ['AuthenticationMethods publickey,password'] })
    const task = await perform(app, 'ssh', { ...wantsBoth?.input('whoami'), ...user })
    t.same(task.output, { retcode: 0, report: `${user.login}\n` })
  })
})

t.test('a host that does not run what it is told', async (t) => {
  const forced = await Sshd.start(t, { config: ['ForceCommand echo only backups here; exit 9'] })
  const task = await perform(app, 'ssh', forced?.input('true'))
  t.match(task.error, { code: 'script-not-started', retryable: false })
  t.match(task.error?.message, /only backups here/)
  t.equal(task.output, undefined)
})

t.test('a host without bash, and one without room', async (t) => {
  const tools = t.testdir({ sh: t.fixture('symlink', '/bin/sh') })
  const bare = await Sshd.start(t, { env: { PATH: tools } })
  const task = await perform(app, 'ssh', bare?.input('true'))
  t.match(task.error, { code: 'no-bash', retryable: false }, `${task.error?.message}`)
  const full = await Sshd.start(t, { env: { TMPDIR: '/nowhere' } })
  const { error } = await perform(app, 'ssh', full?.input('true'))
  t.match(error, { code: 'script-not-started', message: /nowhere/ })
})

t.test('what the login shell says is not of the script', async (t) => {
  const chatty = await Sshd.start(t)
  if (chatty === undefined) return
  writeFileSync(join(chatty.folder, '.bashrc'), 'echo welcome; echo careful >&2\n')
  const task = await perform(app, 'ssh', chatty.input('echo hello'))
  t.same(task.output, { retcode: 0, report: 'hello\n' })
  const [first] = await app.errand.logs(task.id)
  t.match(first, { level: 'debug', message: /login shell said: welcome/ })
})

t.test('inputs that are refused', async (t) => {
  for (const wrong of [
    { hostname: '' },
    { port: 0 },
    { port: 65_536 },
    { script: '' },
    { timeout: 0 },
    { connect_timeout: 1.5 },
    { hostKey: 'x' },
  ]) {
    const input = { ...sshd.input('true'), ...wrong }
    await t.rejects(app.errand.submit('ssh', input), { code: 'invalid-input' })
  }
})
