"""A model as a checkpoint with code of its own brings it: the published names and interface, written for tests."""

import torch
from torch import nn
from transformers import PreTrainedModel, Qwen2ForCausalLM

from .configuration_internvl_chat import InternVLChatConfig
from .conversation import get_conv_template


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        rows, length, width = x.shape
        q, k, v = self.qkv(x).reshape(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(rows, length, width))


class Perceptron(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.hidden_size
        self.norm1 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.norm2 = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.attn = Attention(width, config.num_attention_heads)
        self.mlp = Perceptron(width, config.intermediate_size)
        self.ls1 = nn.Parameter(torch.ones(width))
        self.ls2 = nn.Parameter(torch.ones(width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x)) * self.ls1
        return x + self.mlp(self.norm2(x)) * self.ls2


class Embeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, patch = config.hidden_size, config.patch_size
        self.class_embedding = nn.Parameter(torch.zeros(1, 1, width))
        self.patch_embedding = nn.Conv2d(3, width, patch, patch)
        self.position_embedding = nn.Parameter(torch.zeros(1, (config.image_size // patch) ** 2 + 1, width))

    def forward(self, pixels):
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        return torch.cat([self.class_embedding.expand(len(pixels), -1, -1), patches], 1) + self.position_embedding


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))


class Tower(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)

    def forward(self, pixels):
        x = self.embeddings(pixels)
        for layer in self.encoder.layers:
            x = layer(x)
        return x


class InternVLChatModel(PreTrainedModel):
    config_class = InternVLChatConfig

    def __init__(self, config, use_flash_attn=True):
        super().__init__(config)
        assert not use_flash_attn, "flash attention would be asked for"
        self.template = config.template
        self.system_message = get_conv_template(self.template).system_message
        self.num_image_token = int((config.force_image_size // 14) ** 2 * config.downsample_ratio**2)
        self.img_context_token_id = None
        self.vision_model = Tower(config.vision_config)
        self.language_model = Qwen2ForCausalLM(config.llm_config)
        wide, width = 4 * config.vision_config.hidden_size, config.llm_config.hidden_size
        self.mlp1 = nn.Sequential(nn.LayerNorm(wide), nn.Linear(wide, width), nn.GELU(), nn.Linear(width, width))
        self.post_init()

    def extract_feature(self, pixels):
        x = self.vision_model(pixels)[:, 1:]
        rows, length, width = x.shape
        half = int(length**0.5) // 2
        blocks = x.reshape(rows, half, 2, half, 2, width).permute(0, 1, 3, 2, 4, 5)
        return self.mlp1(blocks.reshape(rows, half * half, 4 * width))

    def generate(self, pixel_values=None, input_ids=None, attention_mask=None, **settings):
        embedded = self.language_model.get_input_embeddings()(input_ids)
        if pixel_values is not None:
            features = self.extract_feature(pixel_values).reshape(-1, embedded.shape[-1])
            embedded[input_ids == self.img_context_token_id] = features
        return self.language_model.generate(inputs_embeds=embedded, attention_mask=attention_mask, **settings)
