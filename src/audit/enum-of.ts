/** The object that type-graphql wants for an enum, each name its own value. */
export function enumOf<const Name extends string>(names: readonly Name[]): { readonly [Key in Name]: Key } {
  return Object.fromEntries(names.map((name) => [name, name])) as { [Key in Name]: Key };
}
