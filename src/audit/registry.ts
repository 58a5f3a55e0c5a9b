import type { DataSource } from "typeorm";
import type { AuditedResource } from "./resource.js";
import { SnapshotReader } from "./snapshot.js";

/** The audited resources of one application, bound to its database. */
export class Registry {
  readonly resources: readonly AuditedResource[];
  readonly #byType: ReadonlyMap<string, AuditedResource>;
  readonly #byEntity: ReadonlyMap<unknown, AuditedResource>;
  readonly #readers: ReadonlyMap<string, SnapshotReader>;

  constructor(resources: readonly AuditedResource[], dataSource: DataSource) {
    this.resources = resources;
    this.#byType = new Map(resources.map((resource) => [resource.type, resource]));
    this.#byEntity = new Map(resources.map((resource) => [resource.entity, resource]));
    this.#readers = new Map(resources.map((resource) => [resource.type, new SnapshotReader(resource, dataSource)]));
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

  reader(resource: { readonly type: string }): SnapshotReader {
    const reader = this.#readers.get(resource.type);
    if (!reader) throw new Error(`The audited resource ${resource.type} isn't registered: add it to the features.`);
    return reader;
  }
}
