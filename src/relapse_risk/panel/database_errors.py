"""What can go wrong with a database, without a word of what the database itself said.

A driver's message may name the host, the user, or a value of a row; only the five characters of an SQLSTATE
are passed on.
"""

from __future__ import annotations

from relapse_risk.errors import ConfigurationError, DataError, MachineError

# SQLSTATEs a county can do something about, in words.
_MEANINGS = {
    "22": ("a value can't be computed or converted", "数值无法计算或转换"),
    "42601": ("a syntax error", "语法错误"),
    "42702": ("two columns of one name", "列名重复"),
    "42703": ("a column that does not exist", "列不存在"),
    "42883": ("a function that does not exist", "函数不存在"),
    "53": ("the database lacks room or memory", "数据库资源不足"),
    "57014": ("it was cancelled, or took longer than the database allows", "查询被取消或超时"),
    "08": ("the connection broke", "连接中断"),
    "57P01": ("the database was shut down", "数据库已关闭"),
}


def credentials_given(where: str) -> ConfigurationError:
    """Return RR215: a URI or a mapping holds a user name, a password, or the way to one."""
    return ConfigurationError(
        "RR215",
        where,
        "it holds a user name, a password, or the way to one",
        "credentials in the environment: PGUSER and PGPASSWORD",
        "Take them out, set the two variables, and change a password that was written here: command lines "
        "and files are kept and copied",
        zh="数据库地址和映射文件中不得有用户名或密码：请改用环境变量 PGUSER 和 PGPASSWORD，并更换该密码。",
    )


def not_reached(where: str, found: str, remedy: str, zh: str) -> DataError:
    """Return RR160: there is no such server, database or file, or it does not answer."""
    return DataError(
        "RR160",
        where,
        found,
        "a database that answers: postgresql://HOST:PORT/DATABASE or sqlite:///PATH",
        remedy,
        zh=zh,
    )


def not_let_in(where: str) -> DataError:
    """Return RR161: the server wants another user or password, or any at all."""
    return DataError(
        "RR161",
        where,
        "the database does not accept the user and password of the environment",
        "PGUSER and PGPASSWORD of a user who may read these tables",
        "Set both variables in this shell (never in a file of the project) and call again",
        zh="数据库拒绝了用户名或密码：请在当前环境中设置 PGUSER 和 PGPASSWORD 后重试。",
    )


def no_such_table(where: str, *, is_forbidden: bool) -> DataError:
    """Return RR162: a table or view is not there, or this user may not read it."""
    return DataError(
        "RR162",
        where,
        "this user may not read the table or view" if is_forbidden else "there is no such table or view",
        "a table or view of the database, spelt as there, that this user may read",
        "Ask for the right to read it (GRANT SELECT)"
        if is_forbidden
        else "Check the name, its schema and its capitals in the mapping",
        zh=f"{where}：" + ("当前用户无权读取该表或视图。" if is_forbidden else "数据库中没有该表或视图。"),
    )


def no_select(where: str) -> DataError:
    """Return RR163: a query would do something else than read."""
    return DataError(
        "RR163",
        where,
        "the query is no SELECT, or would write",
        "one query that only reads: SELECT … or WITH … SELECT …",
        "Correct the query in the mapping; the database was opened read-only and is as it was",
        zh=f"{where}：查询语句只能是读取数据的 SELECT。数据库未被改动。",
    )


def failed(where: str, sqlstate: str) -> DataError:
    """Return RR164: the database failed on a query; ``sqlstate`` says how, empty where it is not known."""
    keys = (sqlstate, sqlstate[:2])
    en, zh = next((_MEANINGS[key] for key in keys if key in _MEANINGS), ("", ""))
    said = f" (SQLSTATE {sqlstate})" if sqlstate else ""
    return DataError(
        "RR164",
        where,
        f"the database failed on the query{': ' + en if en else ''}{said}",
        "a query that runs",
        "Run it in the database's own tool to see the place, and correct the mapping or the view",
        zh=f"{where}：查询执行失败{'：' + zh if zh else ''}{said}，请在数据库工具中试运行并更正。",
    )


def no_room(error: OSError) -> MachineError:
    """Return RR662: the copy that is made of the rows on their way can't be written."""
    return MachineError(
        "RR662",
        "the temporary folder",
        f"the rows on their way can't be written ({error.strerror or type(error).__name__})",
        "room for a copy of the tables",
        "Free space, or name another folder in TMPDIR (on Windows: TEMP), and call again",
        zh="临时文件夹无法写入：请清理磁盘空间，或通过 TMPDIR 指定其他文件夹后重试。",
    )


def no_driver(kind: str) -> MachineError:
    """Return RR661: the driver is not installed."""
    return MachineError(
        "RR661",
        f"{kind}://…",
        "the database driver is not installed",
        "the extra 'database'",
        "Run pip install 'relapse-risk[database]' (in a copy of the source: pip install -e '.[database]')",
        zh="未安装数据库驱动：请运行 pip install 'relapse-risk[database]'。",
    )
