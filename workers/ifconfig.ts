import { networkInterfaces } from 'node:os'
import { Type } from 'typebox'
import { defineWorker } from '../src/task/worker.ts'

/** What Node gives for an interface that has no hardware address. */
const NO_ADDRESS = '00:00:00:00:00:00'

export default defineWorker({
  name: 'ifconfig',
  details: {
    description:
      'Ifconfig will return networking details from the server. No config is needed for this worker',
    output: Type.Object({
      Interfaces: Type.Array(
        Type.Object({
          interface_name: Type.String(),
          ip_network: Type.String({
            description: 'Address and prefix length, such as 192.168.1.6/24',
          }),
          mac_address: Type.String({ description: 'Empty where the interface has none' }),
        }),
      ),
    }),
    example: {},
  },
  perform() {
    const Interfaces = Object.entries(networkInterfaces()).flatMap(([interface_name, addresses]) =>
      (addresses ?? []).map(({ cidr, address, mac }) => ({
        interface_name,
        ip_network: cidr ?? address,
        mac_address: mac === NO_ADDRESS ? '' : mac,
      })),
    )
    return { Interfaces }
  },
})
