import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import t from 'tap'
import { until } from '../until.ts'
import { settled, startApp, submit } from './perform.ts'
import { processes, Sshd } from './ssh/sshd.ts'

const TASKS = 1_000

const sshd = await Sshd.start(t)
if (sshd === undefined) process.exit()

function files(): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('tmp.'))
}

function resources(): string[] {
  return process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|Process/.test(name))
}

t.test(`${TASKS} tasks leave nothing behind`, async (t) => {
  const app = await startApp(t)
  const before = { files: files(), resources: resources().length, pids: new Set<number>() }
  for (const { pid } of processes()) before.pids.add(pid)
  const began = performance.now()
  const ids = await Promise.all(
    Array.from({ length: TASKS }, (_, i) => submit(app, 'ssh', sshd.input(`echo ${i}`))),
  )
  for (const [i, id] of ids.entries()) {
    const { status, output, error } = await settled(app, id)
    if (status !== 'completed') t.same({ status, error }, { status: 'completed' }, `task ${i}`)
    else if (JSON.stringify(output) !== `{"retcode":0,"report":"${i}\\n"}`) t.fail(`task ${i}`)
  }
  t.comment(`${TASKS} tasks took ${Math.round(performance.now() - began)} ms`)
  await until(() => sshd.connections().length === 0)
  t.pass('sshd has no connection any more')
  await until(() => resources().length === before.resources)
  t.pass('no socket is left on this side')
  // Other tests have theirs meanwhile: what is there now must go, and what comes later is not of these tasks.
  const newFiles = files().filter((name) => !before.files.includes(name))
  await until(() => !newFiles.some((name) => files().includes(name)), 60_000)
  t.pass('no file is left')
  const watches = processes().filter(
    ({ args, pid }) => /errand-/.test(args) && !before.pids.has(pid),
  )
  const isLeft = (pid: number) => processes().some((other) => other.pid === pid)
  await until(() => !watches.some(({ pid }) => isLeft(pid)), 60_000)
  t.pass('no watch is left')
})
