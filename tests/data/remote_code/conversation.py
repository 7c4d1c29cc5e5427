"""The one template that the test checkpoint names."""

import os
from dataclasses import dataclass, field
from enum import Enum, auto

assert "HF_TOKEN" not in os.environ, "code of a checkpoint must not see the user's token"


class SeparatorStyle(Enum):
    MPT = auto()


@dataclass
class Conversation:
    name: str
    system_template: str
    system_message: str
    roles: tuple
    sep_style: SeparatorStyle
    sep: str
    messages: list = field(default_factory=list)

    def append_message(self, role, text):
        self.messages.append((role, text))

    def get_prompt(self):
        turns = [role + (text + self.sep if text else "") for role, text in self.messages]
        return self.system_template.format(system_message=self.system_message) + self.sep + "".join(turns)


def get_conv_template(name):
    assert name == "Hermes-2"
    return Conversation(
        name="Hermes-2",
        system_template="<|im_start|>system\n{system_message}",
        system_message="你是一个测试模型 and you answer tests.",
        roles=("<|im_start|>user\n", "<|im_start|>assistant\n"),
        sep_style=SeparatorStyle.MPT,
        sep="<|im_end|>",
    )
