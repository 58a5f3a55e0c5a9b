import type { DataSource } from "typeorm";
import type { AuditedResource } from "./resource.js";
import { SnapshotReader } from "./snapshot.js";

/**
 * The audited resources of one application, bound to its database.
 *
 * @example
 * const registry = new Registry(resources, dataSource);
 * registry.find("door")?.objectType; // "Door"
 * registry.find("window"); // undefined
 */
export class Registry {
  readonly resources: readonly AuditedResource[];
  readonly #byType: ReadonlyMap<string, AuditedResource>;
  readonly #byEntity: ReadonlyMap<unknown, AuditedResource>;
  readonly #readers = new Map<string, SnapshotReader>();
  readonly #dataSource: DataSource;

  constructor(resources: readonly AuditedResource[], dataSource: DataSource) {
    this.resources = resources;
    this.#dataSource = dataSource;
    this.#byType = new Map(resources.map((resource) => [resource.type, resource]));
    this.#byEntity = new Map(resources.map((resource) => [resource.entity, resource]));
  }

  find(type: string): AuditedResource | undefined {
    return this.#byType.get(type);
  }

  /** @throws Error where no one declared it, which the start's check has ruled out for every directive */
  get(type: string): AuditedResource {
    const resource = this.#byType.get(type);
    if (!resource) throw new Error(`No audited resource is called ${type}: declare it with defineAuditedResource.`);
    return resource;
  }

  byEntity(target: unknown): AuditedResource | undefined {
    return this.#byEntity.get(target);
  }

  reader({ type }: { readonly type: string }): SnapshotReader {
    const known = this.#readers.get(type);
    if (known) return known;
    const resource = this.#byType.get(type);
    if (!resource) throw new Error(`The audited resource ${type} isn't registered: add it to the features.`);
    // Made when it is asked for: what is wrong with a declaration is the start's check to say, with all else.
    const reader = new SnapshotReader(resource, this.#dataSource);
    this.#readers.set(type, reader);
    return reader;
  }
}
