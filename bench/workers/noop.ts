import { defineWorker, Type } from 'errand'

export default defineWorker({
  name: 'noop',
  details: { description: 'Does nothing', input: Type.Object({}), output: Type.Null() },
  perform: () => null,
})
