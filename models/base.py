"""What every table shares: names of constraints, how Python types are stored, the id and the time of making."""

from datetime import datetime
from enum import Enum
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.clock import now
from core.ids import new_id

# What a column may say of itself by `info=`. The audit log tells that a secret or something personal has changed, not
# what it is: a contact who is erased is erased. What is encrypted, a secret too, `replyhq keys rotate` encrypts anew.
SECRET = {"secret": True}
PERSONAL = {"personal": True}
ENCRYPTED = SECRET | {"encrypted": True}
_VALUES = sa.Enum(
    Enum,
    native_enum=False,
    create_constraint=False,
    length=32,
    values_callable=lambda kind: [member.value for member in kind],
)


class Model(DeclarativeBase):
    """A table. Enums are stored by value, dicts as JSONB, times with their zone."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: sa.TIMESTAMP(timezone=True),
        UUID: sa.UUID(as_uuid=True),
        dict[str, Any]: JSONB,
        list[str]: sa.ARRAY(sa.Text),
        list[UUID]: sa.ARRAY(sa.UUID(as_uuid=True)),
        str: sa.Text,
        Enum: _VALUES,
    }


class Record(Model):
    """A table whose rows have an id of their own and know when they were made."""

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(default=now, server_default=sa.func.now())


def app_key(*, primary_key: bool = False) -> Mapped[UUID]:
    """The column that ties a row to its tenant; the row goes when the app goes."""
    return mapped_column(sa.ForeignKey("apps.id", ondelete="CASCADE"), primary_key=primary_key)
