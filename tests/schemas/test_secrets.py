"""What looks like a secret is hidden, and nothing else."""

import pytest

from flowreel.schemas.secrets import hide_secrets

SECRET = "hunter2/with+slash=="


@pytest.mark.parametrize(
    "text",
    [
        f"Cannot read s3://KEY:{SECRET}@bucket/x: no",
        f"https://b.s3.amazonaws.com/x?X-Amz-Credential=AK&X-Amz-Signature={SECRET}",
        f"https://acc.blob.core.windows.net/c/x?sv=2024&sig={SECRET}&se=1",
        f"DefaultEndpointsProtocol=https;AccountKey={SECRET};EndpointSuffix=x",
        f"SharedAccessSignature={SECRET}",
        f"{{'key': 'k', 'secret': '{SECRET}'}}",
        f'{{"aws_secret_access_key": "{SECRET}"}}',
        f"ClientSession(aws_session_token={SECRET}, region=x)",
        f"Authorization: Bearer {SECRET}",
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    assert "hunter2" not in hide_secrets(text) and "***" in hide_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "key 'token' is given twice",
        "s3://bucket/folder@3: no such version",
        "storage_options.secret: secrets are not sent in specs",
        "abfs://container@account.dfs.core.windows.net/x",
        "12 clips: 3 failed, what next?",
        "Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or storage_options",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide_secrets(text) == text
