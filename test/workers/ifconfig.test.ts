import { networkInterfaces } from 'node:os'
import t from 'tap'
import type { Json } from '../../src/task/json.ts'
import { perform, startApp } from './perform.ts'

interface Entry {
  interface_name: string
  ip_network: string
  mac_address: string
}

function entriesOf(output: Json | undefined): Entry[] {
  return (output as unknown as { Interfaces: Entry[] }).Interfaces
}

t.test('every address of every interface, as the system has them', async (t) => {
  const app = await startApp(t)
  const task = await perform(app, 'ifconfig')
  t.equal(task.status, 'completed')
  const found = entriesOf(task.output)
  const expected = networkInterfaces()
  t.same(new Set(found.map((entry) => entry.interface_name)), new Set(Object.keys(expected)))
  for (const [name, addresses = []] of Object.entries(expected)) {
    const entries = found.filter((entry) => entry.interface_name === name)
    t.same(
      entries.map((entry) => entry.ip_network),
      addresses.map(({ cidr }) => cidr),
      name,
    )
    t.same(
      entries.map((entry) => entry.mac_address),
      addresses.map(({ mac }) => (mac === '00:00:00:00:00:00' ? '' : mac)),
      `${name}, whose hardware address is empty where it has none`,
    )
  }
})

t.test('it takes no input, and refuses one', async (t) => {
  const app = await startApp(t)
  t.equal((await perform(app, 'ifconfig', {})).status, 'completed')
  await t.rejects(app.errand.submit('ifconfig', { verbose: true }), { code: 'invalid-input' })
})
