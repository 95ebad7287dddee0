"""What clients asked to have kept: responses, and the conversations that go on from them."""
