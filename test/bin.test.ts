import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root, run } from './server-process.ts'

const { engines, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Runs what is installed as `errand`, on a Node that says it is another. */
function errand(node: string) {
  const versions = `Object.defineProperty(process, 'versions', { value: { node: '${node}' } })`
  const disguise = `data:text/javascript,${encodeURIComponent(versions)}`
  return run(process.execPath, ['--import', disguise, join(root, 'src/bin.ts'), '--version'])
}

t.test('a Node that is too old is told so, and the oldest that will do', async (t) => {
  for (const node of ['20.20.2', '23.11.1']) {
    t.same(await errand(node), {
      code: 1,
      stdout: '',
      stderr: `errand: Errand needs Node 24 or later; this is Node ${node}.\n`,
    })
  }
  t.equal(engines.node, '>=24')
})

t.test('any other runs', async (t) => {
  for (const node of ['24.0.0', '100.1.0']) {
    t.same(await errand(node), { code: 0, stdout: `${version}\n`, stderr: '' })
  }
})
