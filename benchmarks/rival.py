"""The list of records as a service of its own would commonly be written: FastAPI, pydantic and SQLAlchemy's ORM.

It does the job of Logkeep's page, over the same database: the signature is verified, the project compared, the number
of all taken from the table of counts, and a page of the older half read from the end. It is spared what Logkeep does
besides: other operations, bounds of size and time, request ids and the lock-out of who tries secrets. Its handler is
asynchronous and asks SQLite within the event loop: as a plain function, in a thread for each call, it was slower.

python -m benchmarks.rival DATABASE PORT AK SK
"""

import sys
import time
from collections.abc import AsyncIterator
from typing import Annotated, Literal

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import ForeignKey, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from logkeep.signing.sdk_hmac import SignatureError, parse_authorization, verify


class Base(DeclarativeBase):
    pass


class Cluster(Base):
    __tablename__ = "clusters"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]


class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str]
    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"))
    type: Mapped[str]
    status: Mapped[str]
    bucket: Mapped[str]
    base_path: Mapped[str]
    created_at: Mapped[int]
    finished_at: Mapped[int | None]
    failed_msg: Mapped[str | None]


class JobCount(Base):
    __tablename__ = "job_counts"
    cluster_id: Mapped[str] = mapped_column(ForeignKey("clusters.id"), primary_key=True)
    status: Mapped[str] = mapped_column(primary_key=True)
    jobs: Mapped[int]


class Record(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    id: str
    cluster_id: str
    create_at: int
    log_path: str
    status: str
    finished_at: int | None
    job_types: str
    failed_msg: str | None
    job_id: str


class Records(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    cluster_log_record: list[Record]
    total_size: int


def create_app(database: str, secrets: dict[str, str]) -> FastAPI:
    app = FastAPI()
    sessions = sessionmaker(create_engine(f"sqlite:///{database}"))

    async def open_session() -> AsyncIterator[Session]:
        with sessions() as session:
            yield session

    async def authenticate(request: Request) -> None:
        headers = dict(request.headers.raw)
        try:
            authorization = parse_authorization(headers.get(b"authorization", b""))
            verify(
                authorization,
                secrets[authorization.access_key],
                method=request.method,
                raw_path=request.scope["raw_path"],
                raw_query=request.scope["query_string"],
                headers=headers,
                body=await request.body(),
                now_ms=time.time_ns() // 1_000_000,
            )
        except (SignatureError, KeyError) as error:
            raise HTTPException(401, str(error)) from error

    @app.get("/v1.0/{project_id}/clusters/{cluster_id}/logs/records", dependencies=[Depends(authenticate)])
    async def list_records(
        project_id: str,
        cluster_id: str,
        session: Annotated[Session, Depends(open_session)],
        offset: Annotated[int, Query(ge=1)] = 1,
        limit: Annotated[int, Query(ge=1)] = 10,
        status: Literal["FAIL", "NOT_FAIL"] | None = None,
    ) -> Records:
        cluster = session.get(Cluster, cluster_id)
        if cluster is None or cluster.project_id != project_id:
            raise HTTPException(404, "no such cluster")
        passing = {"FAIL": ["FAIL"], "NOT_FAIL": ["RUNNING", "SUCCESS"], None: ["RUNNING", "SUCCESS", "FAIL"]}[status]
        counted = select(func.coalesce(func.sum(JobCount.jobs), 0))
        total = session.scalars(counted.where(JobCount.cluster_id == cluster_id, JobCount.status.in_(passing))).one()
        first, limit = offset - 1, min(limit, total - offset + 1)
        jobs = select(Job).where(Job.cluster_id == cluster_id)
        if status:
            jobs = jobs.where(Job.status == "FAIL" if status == "FAIL" else Job.status != "FAIL")
        if first <= total // 2:
            newest = jobs.order_by(Job.created_at.desc(), Job.id.desc()).offset(first).limit(limit)
            page = list(session.scalars(newest))
        else:
            oldest = jobs.order_by(Job.created_at, Job.id).offset(total - first - limit).limit(limit)
            page = list(session.scalars(oldest))[::-1]
        return Records(cluster_log_record=[make_record(job) for job in page], total_size=total)

    return app


def make_record(job: Job) -> Record:
    return Record(
        id=job.id,
        cluster_id=job.cluster_id,
        create_at=job.created_at,
        log_path=f"{job.bucket}/{job.base_path}",
        status=job.status,
        finished_at=job.finished_at,
        job_types=job.type,
        failed_msg=job.failed_msg,
        job_id=job.job_id,
    )


def main(database: str, port: str, ak: str, sk: str) -> None:
    app = create_app(database, {ak: sk})
    uvicorn.run(app, port=int(port), loop="uvloop", http="httptools", log_level="warning", access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
