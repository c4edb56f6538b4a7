import { basename } from 'node:path'

interface Interpreter {
  readonly names: RegExp
  /** The option whose value it runs. */
  readonly option: RegExp
}

/** Programs that run what one of their words holds. */
const INTERPRETERS: readonly Interpreter[] = [
  {
    names: /^(?:(?:ba|da|a|z|k|mk|c|tc|fi)?sh|su|runuser|script|flock)$/,
    option: /^(?:-[A-Za-z]*c[A-Za-z]*|--command|--session-command)$/,
  },
  { names: /^(?:python|pypy)[\d.]*$/, option: /^-[A-Za-z]*c$/ },
  {
    names: /^(?:perl|ruby|lua|node|nodejs|bun|deno|php|Rscript)[\d.]*$/,
    option: /^(?:-[A-Za-z]*[eEpr]|--eval|--print|--run|eval)$/,
  },
]

/**
 * Of a command that gives a script to an interpreter, the index of the word that holds the script, and who
 * runs it. Values have no place in a script: each could be any command.
 *
 * @param words as they are written
 */
export function scriptIn(words: readonly string[]): { index: number; runBy: string } | undefined {
  for (const [i, word] of words.entries()) {
    const runBy = basename(word)
    const interpreter = INTERPRETERS.find(({ names }) => names.test(runBy))
    if (interpreter === undefined) continue
    const index = scriptAfter(words, i, interpreter.option)
    if (index !== undefined) return { index, runBy }
  }
  return undefined
}

function scriptAfter(words: readonly string[], from: number, option: RegExp): number | undefined {
  for (let i = from + 1; i < words.length; i++) {
    const word = words[i] ?? ''
    // The script may stand in the option's own word: -c…, --eval=….
    const [head = ''] = word.split(/=|\{\{/)
    if (head !== word && option.test(head)) return i
    if (!option.test(word)) continue
    const next = words.findIndex((later, at) => at > i && !/^[-+]/.test(later))
    return next === -1 ? undefined : next
  }
  return undefined
}
