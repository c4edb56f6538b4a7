import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { program } from '../../program.ts'
import { until } from '../../until.ts'

const TRIES = 5

export type KeyType = 'ed25519' | 'rsa' | 'ecdsa'

/** A pair of keys as ssh-keygen makes them. */
export interface KeyPair {
  path: string
  private: string
  public: string
}

export interface SshdOptions {
  /** Lines of sshd_config, which stand before the fixture's own and so prevail. */
  config?: readonly string[]
  hostKeys?: readonly KeyType[]
  /** Variables of its sessions. Their home is the fixture's folder, which has no .bashrc. */
  env?: { readonly [name: string]: string }
}

/** A real sshd on a free port of loopback, which lets the current user in with {@link Sshd.key}. */
export class Sshd {
  readonly folder: string
  readonly login = userInfo().username
  readonly hostKeys: readonly KeyPair[]
  readonly key: KeyPair
  port = 0
  pid = 0
  log = ''

  private constructor(folder: string, hostKeys: readonly KeyPair[], key: KeyPair) {
    this.folder = folder
    this.hostKeys = hostKeys
    this.key = key
  }

  /** Undefined where there is no sshd and none can be installed, which the test then says. */
  static async start(t: Test, options: SshdOptions = {}): Promise<Sshd | undefined> {
    const path = program(t, { names: ['sshd'], debian: 'openssh-server', untested: 'ssh' })
    if (path === undefined) return undefined
    // What sshd runs as must be able to read the keys, and others must not.
    const folder = mkdtempSync(join(tmpdir(), 'errand-sshd-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    chmodSync(folder, 0o755)
    const keys = (options.hostKeys ?? ['ed25519']).map((type) =>
      makeKey(join(folder, `host-${type}`), type),
    )
    const sshd = new Sshd(folder, keys, makeKey(join(folder, 'login'), 'ed25519'))
    sshd.allow(sshd.key)
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true })
    for (let i = 0; i < TRIES && sshd.pid === 0; i++) await sshd.#run(t, path, options)
    if (sshd.pid === 0) throw new Error(`sshd does not start: ${sshd.log}`)
    return sshd
  }

  /** An input that logs in and runs a script, plainly. */
  input(script: string, more: object = {}) {
    return {
      hostname: '127.0.0.1',
      port: this.port,
      hostkey: this.hostKeys.map((pair) => pair.public).join(''),
      login: this.login,
      key: this.key.private,
      script,
      'bash-debug-mode': false,
      ...more,
    }
  }

  /** Lets the owner of one more key in. */
  allow(pair: KeyPair): void {
    writeFileSync(join(this.folder, 'authorized_keys'), pair.public, { flag: 'a', mode: 0o644 })
  }

  /** The processes that serve one connection each. */
  connections(): number[] {
    return processes()
      .filter(({ parent }) => parent === this.pid)
      .map(({ pid }) => pid)
  }

  async #run(t: Test, path: string, { config = [], env }: SshdOptions): Promise<void> {
    this.port = await freePort()
    const file = join(this.folder, 'sshd_config')
    const variables = Object.entries({ HOME: this.folder, ...env })
    const lines = [
      ...config,
      `SetEnv ${variables.map((variable) => variable.join('=')).join(' ')}`,
      `Port ${this.port}`,
      'ListenAddress 127.0.0.1',
      ...this.hostKeys.map((pair) => `HostKey ${pair.path}`),
      `AuthorizedKeysFile ${join(this.folder, 'authorized_keys')}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PermitRootLogin yes',
      'PermitUserRC no',
      'MaxStartups 1000',
      'LogLevel VERBOSE',
    ]
    writeFileSync(file, `${lines.join('\n')}\n`)
    const child = spawn(path, ['-D', '-e', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text
    })
    const exited = once(child, 'exit')
    await until(() => /Server listening/.test(this.log) || child.exitCode !== null)
    if (child.exitCode !== null) return
    this.pid = child.pid ?? 0
    t.teardown(async () => {
      for (const pid of this.connections()) end(pid)
      child.kill('SIGKILL')
      await exited
    })
  }
}

/** Makes a pair of keys, the private one encrypted where there is a passphrase. */
export function makeKey(path: string, type: KeyType, passphrase = '', ...more: string[]): KeyPair {
  const length = type === 'rsa' ? ['-b', '2048'] : []
  // Few rounds of the derivation from the passphrase, which are meant to take long.
  const rounds = ['-a', '2']
  const args = ['-q', '-t', type, ...length, ...rounds, ...more, '-N', passphrase, '-f', path]
  execFileSync('ssh-keygen', args)
  return {
    path,
    private: readFileSync(path, 'utf8'),
    public: readFileSync(`${path}.pub`, 'utf8'),
  }
}

/** A user with a password, removed when the test ends; undefined where none can be made. */
export function makeUser(t: Test): { login: string; password: string } | undefined {
  const login = `errand-${randomBytes(4).toString('hex')}`
  const password = randomBytes(12).toString('hex')
  const isPossible = process.getuid?.() === 0 && hasUseradd()
  if (!isPossible) {
    const message = 'NOT TESTED LOGIN BY PASSWORD: it takes root, and useradd, to make a user'
    t.pass(message, { skip: message })
    return undefined
  }
  execFileSync('useradd', ['-m', '-s', '/bin/bash', login])
  t.teardown(async () => {
    // Its last process may still be on its way out.
    await until(() => remove(login))
  })
  execFileSync('chpasswd', { input: `${login}:${password}\n` })
  return { login, password }
}

/** The processes of this machine, by /proc. */
export function processes(): { pid: number; parent: number; session: number; args: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\) /s, '')
        const [state, parent, , session] = stat.split(' ')
        const args = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ')
        if (state === 'Z') return []
        return [{ pid: Number(name), parent: Number(parent), session: Number(session), args }]
      } catch {
        // It has gone in between.
        return []
      }
    })
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself in between.
  }
}

function remove(login: string): boolean {
  try {
    execFileSync('userdel', ['-r', login], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function hasUseradd(): boolean {
  try {
    execFileSync('sh', ['-c', 'command -v useradd && command -v chpasswd'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
