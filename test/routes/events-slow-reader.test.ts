import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Gate, listen, makeApp, submit } from '../app.ts'
import { until } from '../until.ts'

/** What is sent to a reader that does not read, in characters, before this gives up. */
const ENOUGH = 32 * 1_048_576
/** Lines are sent in portions of this many, so that what can be written is written. */
const PORTION = 16
const LINE = 'x'.repeat(8_000)

/** Connects, asks for a stream, and reads nothing but the head. */
async function openAndStall(t: Test, url: string, path: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  await once(socket, 'data')
  socket.pause()
  return socket
}

/** Sends until the reader is let go; resolves with what was sent to it by then. */
async function sendUntilAlone(app: FastifyInstance, send: (line: string) => void) {
  let sent = 0
  while (app.errand.events.readers > 0 && sent < ENOUGH) {
    for (let i = 0; i < PORTION; i++) send(LINE)
    sent += PORTION * LINE.length
    await turn()
  }
  return sent
}

for (const form of ['logs?follow', 'events']) {
  t.test(`a reader of /tasks/{id}/${form} that does not read is let go`, async (t) => {
    const gate = new Gate()
    const app = await makeApp(t, { gates: [gate] })
    const url = await listen(app)
    const { id } = await submit(app, 'gate')
    const context = await gate.arrived()
    context.log.info('the head comes with the first line')
    const socket = await openAndStall(t, url, `/tasks/${id}/${form}`)
    t.equal(app.errand.events.readers, 1)
    const sent = await sendUntilAlone(app, (line) => context.log.info(line))
    t.equal(app.errand.events.readers, 0)
    t.ok(sent < ENOUGH, `let go after ${sent} characters`)
    socket.resume()
    await once(socket, 'close')
  })
}

t.test('a reader of /events that does not read is let go; one that does is not', async (t) => {
  const gate = new Gate()
  const app = await makeApp(t, { gates: [gate] })
  const url = await listen(app)
  await openAndStall(t, url, '/events')
  const good = connect(Number(new URL(url).port), '127.0.0.1')
  t.teardown(() => good.destroy())
  let tail = ''
  good.setEncoding('latin1').on('data', (chunk) => {
    tail = `${tail}${chunk}`.slice(-10_000)
  })
  good.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => app.errand.events.readers === 2)

  const tags = Array.from({ length: 20 }, (_, i) => `${i}`.padEnd(100, 't'))
  const submitOne = () => app.errand.submit('gate', {}, { tags, runAt: Date.now() + 3_600_000 })
  let submitted = 0
  while (app.errand.events.readers === 2 && submitted < 20_000) {
    for (let i = 0; i < PORTION; i++) await submitOne()
    submitted += PORTION
    await turn()
  }
  t.equal(app.errand.events.readers, 1, `let go after ${submitted} events`)
  const { task } = await submitOne()
  await until(() => tail.includes(task.id))
})

t.test('streams asked for on one connection are all let go when it closes', async (t) => {
  const app = await makeApp(t, {})
  const { port } = new URL(await listen(app))
  const socket = connect(Number(port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20))
  await until(() => app.errand.events.readers === 20)
  socket.destroy()
  await until(() => app.errand.events.readers === 0)
})
