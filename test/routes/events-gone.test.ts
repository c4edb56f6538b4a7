import { once } from 'node:events'
import { Socket } from 'node:net'
import fastify from 'fastify'
import t from 'tap'
import { errand } from '../../src/app.ts'
import { Gate } from '../app.ts'

t.test('a reader that went before its stream was there holds none', async (t) => {
  const gate = new Gate()
  const app = fastify()
  t.teardown(async () => {
    gate.open()
    await app.close()
  })
  const gone = new Socket()
  gone.destroy()
  await once(gone, 'close')
  // Of the answers to requests on one connection, not every release of Node ends those behind the first.
  app.addHook('preHandler', async (request) => {
    request.raw.socket = gone
  })
  await app.register(errand, { workers: [gate.worker], builtins: false, graceMs: 0 })
  await app.ready()
  const { task } = await app.errand.submit('gate', {})
  await gate.arrived()
  for (const path of ['/events', `/tasks/${task.id}/events`, `/tasks/${task.id}/logs?follow`]) {
    const answer = app.inject({ url: path, signal: AbortSignal.timeout(2_000) })
    await t.rejects(answer, { message: /destroyed/ }, path)
    t.equal(app.errand.events.readers, 0, path)
  }
})
