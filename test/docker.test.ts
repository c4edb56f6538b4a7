import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { SETTINGS } from '../src/config.ts'
import { parseDuration } from '../src/task/duration.ts'
import { root, run, ServerProcess, type Variables } from './server-process.ts'

// What a Dockerfile says, followed as far as a machine without a container engine can: each stage is a
// folder that holds only what was copied into it, and the paths of the image are moved below it.

t.setTimeout(180_000)

const KEY = 'a-key-of-the-test'
const CLOSE_WITHIN_MS = 10_000

interface Instruction {
  name: string
  value: string
}

interface Stage {
  name: string
  folder: string
  env: { [variable: string]: string }
  workdir: string
  user: string
  ports: string[]
  healthcheck: string[]
  entrypoint: string[]
  command: string[]
}

function parseDockerfile(text: string): Instruction[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'))
  const joined = lines.join('\n').replace(/\\\n/g, ' ').split('\n')
  return joined
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', value = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
      return { name, value: value.trim() }
    })
}

/** The last pattern that fits says whether a path stays out; what fits a folder fits all in it. */
function isIgnored(path: string, patterns: readonly string[]): boolean {
  let ignored = false
  for (const pattern of patterns) {
    const isException = pattern.startsWith('!')
    const [, glob = ''] = /^!?\/?(.*?)\/?$/.exec(pattern) ?? []
    const fits = glob
      .split('*')
      .map((text) => RegExp.escape(text))
      .join('[^/]*')
    if (new RegExp(`^${fits}(?:/|$)`).test(path)) ignored = !isException
  }
  return ignored
}

function readLines(file: string): string[] {
  const lines = readFileSync(join(root, file), 'utf8').split('\n')
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
}

/** A build that follows the instructions one by one. */
class Build {
  readonly stages: Stage[] = []
  readonly #t: Test
  readonly #folder: string
  readonly #ignore = readLines('.dockerignore')

  constructor(t: Test) {
    this.#t = t
    // Resolved: what a process says about its own paths has no links in it.
    this.#folder = realpathSync(mkdtempSync(join(tmpdir(), 'errand-image-')))
    t.teardown(() => rmSync(this.#folder, { recursive: true, force: true }))
  }

  get image(): Stage {
    const last = this.stages.at(-1)
    if (last === undefined) throw new Error('the Dockerfile has no stage')
    return last
  }

  async follow({ name, value }: Instruction): Promise<void> {
    if (name === 'FROM') return this.#from(value)
    const stage = this.image
    switch (name) {
      case 'WORKDIR':
        stage.workdir = value
        mkdirSync(this.path(stage, value), { recursive: true })
        return
      case 'COPY':
        return this.#copy(stage, value.split(/\s+/))
      case 'RUN':
        return this.#run(stage, value)
      case 'ENV':
        for (const [, variable = '', text = ''] of value.matchAll(/(\w+)=(\S+)/g)) {
          stage.env[variable] = this.moved(stage, text)
        }
        return
      case 'USER':
        stage.user = value
        return
      case 'EXPOSE':
        stage.ports.push(value)
        return
      case 'HEALTHCHECK':
        stage.healthcheck = JSON.parse(value.slice(value.indexOf('[')))
        return
      case 'ENTRYPOINT':
        stage.entrypoint = JSON.parse(value)
        return
      case 'CMD':
        stage.command = JSON.parse(value)
        return
      default:
        throw new Error(`${name} is not followed here: ${value}`)
    }
  }

  /** Where a path of the image is on this machine. */
  path(stage: Stage, path: string): string {
    return path.startsWith('/') ? join(stage.folder, path) : join(stage.folder, stage.workdir, path)
  }

  /** A text with the folders of the image that it names moved to where they are on this machine. */
  moved(stage: Stage, text: string): string {
    return text.replace(/(?<![\w./:])\/(?:app|data)(?![\w-])/g, (path) => stage.folder + path)
  }

  #from(value: string): void {
    const [, image = '', name = ''] = /^(\S+)(?: AS (\S+))?$/.exec(value) ?? []
    const [, major] = /^node:(\d+)-slim$/.exec(image) ?? []
    this.#t.equal(Number(major), Number(process.versions.node.split('.')[0]), `${image} is tested`)
    const folder = join(this.#folder, String(this.stages.length))
    mkdirSync(folder)
    this.stages.push({
      name,
      folder,
      env: {},
      workdir: '/',
      user: 'root',
      ports: [],
      healthcheck: [],
      entrypoint: [],
      command: [],
    })
  }

  #copy(stage: Stage, words: readonly string[]): void {
    const [, from] = /^--from=(\S+)$/.exec(words[0] ?? '') ?? []
    const paths = from === undefined ? words : words.slice(1)
    const target = paths.at(-1) ?? ''
    for (const source of paths.slice(0, -1)) {
      const path = from === undefined ? this.#inContext(source) : this.#inStage(from, source)
      const into = this.path(stage, target)
      // A trailing slash, or ., says that the target is a folder to copy into.
      const isInto = target.endsWith('/') || target === '.'
      cpSync(path, isInto ? join(into, basename(source)) : into, {
        recursive: true,
        verbatimSymlinks: true,
      })
    }
  }

  #inContext(source: string): string {
    this.#t.ok(existsSync(join(root, source)), `${source} is there to be copied`)
    this.#t.notOk(isIgnored(source, this.#ignore), `${source} is not kept out by .dockerignore`)
    return join(root, source)
  }

  #inStage(name: string, source: string): string {
    const stage = this.stages.find((known) => known.name === name)
    if (stage === undefined) throw new Error(`there is no stage ${name}`)
    const path = this.path(stage, source)
    this.#t.ok(existsSync(path), `${source} is in the stage ${name}`)
    return path
  }

  async #run(stage: Stage, command: string): Promise<void> {
    const { code, stdout, stderr } = await run('sh', ['-c', this.moved(stage, command)], {
      cwd: this.path(stage, '.'),
      env: stage.env,
      withinMs: 120_000,
    })
    if (code !== 0) throw new Error(`RUN ${command} ended with ${code}:\n${stdout}\n${stderr}`)
    this.#t.pass(`RUN ${command}`)
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

t.test('the image that the Dockerfile makes', async (t) => {
  const build = new Build(t)
  for (const instruction of parseDockerfile(readFileSync(join(root, 'Dockerfile'), 'utf8'))) {
    await build.follow(instruction)
  }
  const { image } = build
  const command = [...image.entrypoint, ...image.command].map((word) => build.moved(image, word))
  const cwd = build.path(image, '.')
  const isThere = (path: string) => existsSync(build.path(image, path))

  t.test('it holds what runs, and nothing else', async (t) => {
    t.ok(isThere('/app/dist/src/bin.js'))
    t.ok(isThere('/app/node_modules/fastify'))
    for (const path of ['src', 'test', 'node_modules/tap', 'node_modules/typescript', '.npmrc']) {
      t.notOk(isThere(`/app/${path}`), path)
    }
    t.notOk(isThere('/app/node_modules/node'), 'the image has its own Node')
  })

  t.test('it says how it is run', async (t) => {
    t.equal(image.user, 'node', 'not as root')
    t.same(image.ports, [SETTINGS.port.fallback])
    t.equal(image.env.ERRAND_HOST, '0.0.0.0', 'it can be reached from outside the container')
    t.equal(command[0], 'node', 'without a shell between, which would keep the signals')
  })

  t.test('without a key it does not start', async (t) => {
    const [program = '', ...args] = command
    const { code, stdout, stderr } = await run(program, args, { cwd, env: image.env })
    t.equal(code, 1)
    t.match(stderr, /0\.0\.0\.0.*ERRAND_API_KEY/)
    t.equal(stdout, '')
  })

  t.test('with a key it serves, is found healthy, and stops when it is told to', async (t) => {
    const port = String(await freePort())
    const env: Variables = { ...image.env, ERRAND_API_KEY: KEY, ERRAND_PORT: port }
    const [program = '', ...args] = command
    const [check = '', ...checkArgs] = image.healthcheck
    const unhealthy = await run(check, checkArgs, { cwd, env })
    t.equal(unhealthy.code, 1, 'it is not healthy before it is started')
    const server = await ServerProcess.start(t, [], { command: [program, ...args], cwd, env })
    t.equal((await server.request('/healthz')).status, 200)
    t.equal((await run(check, checkArgs, { cwd, env })).code, 0, 'it is healthy')
    t.equal((await server.request('/workers')).status, 401)
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
    const submit = { method: 'POST', headers, body: '{}' }
    const { body } = await server.request('/workers/ifconfig?wait=20', submit)
    t.match(body, { status: 'completed' })
    server.signal('SIGTERM')
    t.equal((await server.exit()).code, 0)
  })

  t.test('workers may write to its folder of files, and nowhere else', async (t) => {
    const env = { ...image.env, ERRAND_API_KEY: KEY, ERRAND_PORT: '0' }
    const [program = '', ...args] = command
    const server = await ServerProcess.start(t, [], { command: [program, ...args], cwd, env })
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }
    const copy = async (source: string) => {
      const body = JSON.stringify({ source, destination: 'copy' })
      const answer = await server.request('/workers/copyfile?wait=20', {
        method: 'POST',
        headers,
        body,
      })
      return answer.body
    }
    cpSync(join(root, 'package.json'), build.path(image, '/data/file'))
    t.match(await copy('file'), { status: 'completed' })
    t.ok(isThere('/data/copy'))
    t.match(await copy('../app/package.json'), { error: { code: 'outside-root' } })
  })
})

t.test('what .dockerignore keeps out', async (t) => {
  const patterns = readLines('.dockerignore')
  for (const path of [
    '.git',
    '.git/config',
    'node_modules',
    'node_modules/tap',
    '.env',
    'dist',
    'test',
  ])
    t.ok(isIgnored(path, patterns), path)
  for (const path of ['package.json', 'src', 'src/task/task.ts'])
    t.notOk(isIgnored(path, patterns), path)
})

interface Environment {
  readonly [variable: string]: unknown
}

/** Each variable that begins like a setting is one, and its value can be read. */
function holdsSettings(t: Test, environment: Environment) {
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('ERRAND_')) continue
    const setting = Object.values(SETTINGS).find((known) => known.variable === variable)
    t.ok(setting, `${variable} is a setting`)
    if (typeof value === 'string' && !value.includes('$'))
      t.doesNotThrow(() => setting?.parse(value), `${variable}=${value}`)
  }
}

function milliseconds(value: unknown): number {
  return parseDuration(String(value)) ?? Number.NaN
}

t.test('the example for Compose', async (t) => {
  const { services } = parse(readFileSync(join(root, 'examples/compose.yaml'), 'utf8'))
  const { build, environment, ports, healthcheck, stop_grace_period } = services.errand
  t.ok(existsSync(join(root, 'examples', build, 'Dockerfile')), 'it is built from this folder')
  holdsSettings(t, environment)
  t.match(
    environment.ERRAND_API_KEY,
    /^\$\{ERRAND_API_KEY:\?/,
    'it has a key, which stands elsewhere',
  )
  t.same(ports, ['127.0.0.1:8888:8888'])
  const [kind, program, ...args] = healthcheck.test
  t.equal(kind, 'CMD', 'without a shell')
  t.match(args.join(' '), `:${SETTINGS.port.fallback}/healthz`)
  // Nobody listens on port 1: the check can be run, and finds nothing healthy.
  const nobody = args.map((arg: string) => arg.replace('127.0.0.1:8888', '127.0.0.1:1'))
  t.match(await run(program, nobody), { code: 1, stderr: '' })
  t.ok(milliseconds(stop_grace_period) > milliseconds(environment.ERRAND_GRACE) + CLOSE_WITHIN_MS)
})

t.test('the example for Kubernetes', async (t) => {
  const documents = parseAllDocuments(readFileSync(join(root, 'examples/kubernetes.yaml'), 'utf8'))
  const [secret, pod] = documents.map((document) => document.toJS())
  t.equal(secret.kind, 'Secret')
  t.equal(pod.kind, 'Pod')
  const [sidecar] = pod.spec.initContainers
  t.equal(sidecar.restartPolicy, 'Always', 'a sidecar is an init container that goes on')
  const variables: { name: string; value?: string; valueFrom?: object }[] = sidecar.env
  const environment = Object.fromEntries(variables.map(({ name, value }) => [name, value]))
  holdsSettings(t, environment)
  const key = variables.find(({ name }) => name === 'ERRAND_API_KEY')
  const [name] = Object.keys(secret.stringData)
  t.match(key, { valueFrom: { secretKeyRef: { name: secret.metadata.name, key: name } } })
  t.doesNotThrow(() => SETTINGS.apiKey.parse(secret.stringData[String(name)]))
  t.equal(String(sidecar.ports[0].containerPort), SETTINGS.port.fallback)
  for (const [probe, path] of [
    ['startupProbe', '/healthz'],
    ['livenessProbe', '/healthz'],
    ['readinessProbe', '/readyz'],
  ] as const) {
    t.match(sidecar[probe], { httpGet: { path, port: sidecar.ports[0].name } }, probe)
  }
  const graceMs = milliseconds(environment.ERRAND_GRACE)
  t.ok(pod.spec.terminationGracePeriodSeconds * 1_000 > graceMs + CLOSE_WITHIN_MS)
  t.equal(pod.spec.enableServiceLinks, false, 'no variables of a Service named errand')
})
