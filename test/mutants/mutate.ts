/** Loaded before the program: its sources are read with the edits of the mutant that MUTANT names. */
import { registerHooks } from "node:module"
import { mutants } from "./scanner.ts"

const mutant = mutants.find(({ name }) => name === process.env["MUTANT"])
if (mutant === undefined) throw new Error(`there is no mutant "${process.env["MUTANT"]}"`)

registerHooks({
  load: (url, context, next) => {
    const loaded = next(url, context)
    const edits = mutant.edits.filter(({ file }) => url.endsWith(`/src/${file}`))
    if (edits.length === 0) return loaded
    const source = edits.reduce((source, { becomes, file, text }) => {
      const [before, after, ...more] = source.split(text)
      if (before === undefined || after === undefined || more.length > 0) {
        throw new Error(`"${mutant.name}" is out of date: ${text} does not occur once in ${file}`)
      }
      return before + becomes + after
    }, Buffer.from(loaded.source as Uint8Array).toString())
    return { ...loaded, source }
  }
})
