"""A model class in the shape of VLMEvalKit's development guide: TinyVLM by transformers' own means."""

SOURCE = """
from vlmake.vlmeval import *


class Tiny(BaseModel):

    INTERLEAVE = True

    def __init__(self, model_path, **kwargs):
        import transformers

        super().__init__()
        self.processor = transformers.AutoProcessor.from_pretrained(model_path, use_fast=False)
        self.model = transformers.AutoModelForImageTextToText.from_pretrained(model_path, dtype='float32').eval()
        self.kwargs = kwargs
        print('the class was made')

    def generate_inner(self, message, dataset=None):
        content = [
            dict(type='image', image=Image.open(item['value']).convert('RGB'))
            if item['type'] == 'image' else dict(type='text', text=item['value'])
            for item in message
        ]
        inputs = self.processor.apply_chat_template(
            [dict(role='user', content=content)],
            add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors='pt',
        )
        ids = self.model.generate(**inputs, **self.kwargs)
        return self.processor.tokenizer.decode(ids[0, inputs['input_ids'].shape[1]:], skip_special_tokens=True)
"""
