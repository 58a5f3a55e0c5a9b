import { IsEnum, IsOptional, IsUUID, Length, ValidateBy } from "class-validator";
import { DateTime, Field, ID, InputType } from "../graphql.js";
import { IfGiven, IsName } from "../validation.js";
import { DeviceStatus } from "./device.entity.js";

/** How far a device's clock may be ahead of ours. */
const MAX_AHEAD_MINUTES = 5;

const IsFirmwareVersion = () => Length(0, 200, { message: "must be at most 200 characters long" });
const IsProvisioningSecret = () => Length(1, 1000, { message: "must be 1 to 1000 characters long" });

const IsNotAhead = () =>
  ValidateBy(
    {
      name: "isNotAhead",
      validator: {
        validate: (value: unknown) =>
          typeof value === "string" && Date.parse(value) <= Date.now() + MAX_AHEAD_MINUTES * 60_000,
      },
    },
    { message: `must be no more than ${String(MAX_AHEAD_MINUTES)} minutes ahead` },
  );

@InputType()
export class CreateDeviceInput {
  @Field(() => String)
  @IsName()
  serialNumber!: string;

  @Field(() => String)
  @IsName()
  name!: string;

  @Field(() => String, { nullable: true })
  @IsOptional()
  @IsFirmwareVersion()
  firmwareVersion?: string | null;

  @Field(() => String, {
    nullable: true,
    description: "Write-only: no query returns it and no diff shows it.",
  })
  @IsOptional()
  @IsProvisioningSecret()
  provisioningSecret?: string | null;
}

@InputType({
  description: "What is absent stays; null clears what can be empty, and is an error elsewhere. So in every update.",
})
export class UpdateDeviceInput {
  @Field(() => ID)
  @IsUUID("loose")
  id!: string;

  @Field(() => String, { nullable: true })
  @IfGiven()
  @IsName()
  name?: string;

  @Field(() => DeviceStatus, { nullable: true })
  @IfGiven()
  @IsEnum(DeviceStatus)
  status?: DeviceStatus;

  @Field(() => String, { nullable: true })
  @IsOptional()
  @IsFirmwareVersion()
  firmwareVersion?: string | null;

  @Field(() => String, { nullable: true })
  @IsOptional()
  @IsProvisioningSecret()
  provisioningSecret?: string | null;
}

@InputType()
export class DeleteDeviceInput {
  @Field(() => ID)
  @IsUUID("loose")
  id!: string;
}

@InputType()
export class DeviceHeartbeatInput {
  @Field(() => ID)
  @IsUUID("loose")
  id!: string;

  /** The scalar's text in UTC; now where there is none. */
  @Field(() => DateTime, { nullable: true })
  @IsOptional()
  @IsNotAhead()
  at?: string | null;
}
