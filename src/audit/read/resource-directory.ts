import { PLATFORM_TENANT } from "../entry.js";

/** One resource of one kind. */
export interface ResourceKey {
  /** As the database has it: `$platform` for what belongs to no tenant. */
  readonly tenantId: string;
  readonly id: string;
}

/** What the application can say about the resources that entries name. */
export interface ResourceDirectory {
  /** Whether the type is declared in the code; entries keep those that no longer are. */
  isRegistered(type: string): boolean;
  /** Where it is to be seen, null where nowhere. */
  link(type: string, id: string): string | null;
  /**
   * Those of the keys that stand in the database, as {@link resourceKey} writes them, by one statement. Ids are as
   * clients sent them, of any form; whether the reader may see the resource makes no difference.
   */
  existing(type: string, keys: readonly ResourceKey[]): Promise<ReadonlySet<string>>;
}

/** A key as text, by which it is found among others of its type. */
export const resourceKey = ({ tenantId, id }: ResourceKey): string => `${tenantId}/${id}`;

/** Told of what went wrong and was not the reader's to see. */
export type OnError = (message: string, error: unknown) => void;

/** Whether the resources of one page's entries are gone: asked at the first wish to know, one statement a type. */
export class PageResources {
  readonly #directory: ResourceDirectory;
  readonly #onError: OnError;
  readonly #keys = new Map<string, Map<string, ResourceKey>>();
  readonly #answers = new Map<string, Promise<ReadonlySet<string> | null>>();

  constructor(directory: ResourceDirectory, onError: OnError) {
    this.#directory = directory;
    this.#onError = onError;
  }

  /** Names a resource of the page, before any is asked for. */
  add(type: string, key: ResourceKey): void {
    const keys = this.#keys.get(type) ?? new Map<string, ResourceKey>();
    this.#keys.set(type, keys.set(resourceKey(key), key));
  }

  /** Null where the type isn't declared any more, or the lookup failed; the reason is told to `onError`. */
  async isDeleted(type: string, key: ResourceKey): Promise<boolean | null> {
    if (!this.#directory.isRegistered(type)) return null;
    const answer = this.#answers.get(type) ?? this.#ask(type);
    this.#answers.set(type, answer);
    const standing = await answer;
    return standing === null ? null : !standing.has(resourceKey(key));
  }

  /** Null where it is gone, or that couldn't be found out. */
  async link(type: string, key: ResourceKey): Promise<string | null> {
    return (await this.isDeleted(type, key)) === false ? this.#directory.link(type, key.id) : null;
  }

  async #ask(type: string): Promise<ReadonlySet<string> | null> {
    try {
      return await this.#directory.existing(type, [...(this.#keys.get(type)?.values() ?? [])]);
    } catch (error) {
      this.#onError(`Whether resources of the type ${type} still exist couldn't be found out.`, error);
      return null;
    }
  }
}

/** A tenant as readers see it: null for the platform. */
export const tenantOrNull = (tenantId: string): string | null => (tenantId === PLATFORM_TENANT ? null : tenantId);
