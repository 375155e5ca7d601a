// The library's layers point one way: Hosting -> Generation -> Scheduling -> Models -> Interop, with Tokenization and Sampling pure.
// Read from the built assembly, so a full name or an inferred type hides nothing.
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace NativeGen.Tests.Repository;

public sealed class ArrowTests
{
    // Each layer with the layers it may use. Generation is the root namespace, but for the words that every layer speaks.
    private static readonly Dictionary<string, string[]> Arrows = new()
    {
        ["Hosting"] = ["Generation", "Scheduling", "Models", "Interop", "Tokenization", "Sampling"],
        ["Generation"] = ["Scheduling", "Models", "Interop", "Tokenization", "Sampling", "Constraints", "Templates", "Chat"],
        ["Scheduling"] = ["Models", "Interop", "Sampling"],
        ["Models"] = ["Interop", "Tokenization"],
        ["Interop"] = [],
        ["Tokenization"] = [],
        ["Sampling"] = [],
        ["Constraints"] = ["Tokenization"],
        ["Templates"] = [],
        ["Chat"] = ["Templates", "Constraints", "Tokenization"],
    };

    private static readonly string[] Everybodys = [nameof(NativeGenException), nameof(NativeGenErrorCode), nameof(FinishReason), nameof(GenerationPriority)];

    [Fact]
    public void Layers_use_only_what_is_below_them()
    {
        using var stream = File.OpenRead(typeof(NativeGenException).Assembly.Location);
        using PEReader file = new(stream);
        Dictionary<(string From, string To), string> uses = new LayerUses(file).Collect();

        // The reader sees something at all.
        Assert.Contains(("Hosting", "Generation"), uses.Keys);
        Assert.Contains(("Generation", "Scheduling"), uses.Keys);
        Assert.Contains(("Scheduling", "Sampling"), uses.Keys);
        Assert.Contains(("Models", "Interop"), uses.Keys);

        string[] wrong = [.. uses.Where(use => !Arrows.GetValueOrDefault(use.Key.From, []).Contains(use.Key.To))
            .Select(use => $"{use.Key.From} -> {use.Key.To}: {use.Value}")];
        Assert.True(wrong.Length == 0, string.Join(Environment.NewLine, wrong));
    }

    [Fact]
    public void Only_interop_imports_native_code()
    {
        using var stream = File.OpenRead(typeof(NativeGenException).Assembly.Location);
        using PEReader file = new(stream);
        MetadataReader reader = file.GetMetadataReader();
        string[] importers = [.. reader.MethodDefinitions.Select(reader.GetMethodDefinition)
            .Where(method => (method.Attributes & System.Reflection.MethodAttributes.PinvokeImpl) != 0)
            .Select(method => LayerUses.LayerOf(reader, method.GetDeclaringType())).Distinct()];
        Assert.Equal(["Interop"], importers);
    }

    /// <summary>Every use of one layer's type in another's signatures or code, with one place where it happens.</summary>
    private sealed class LayerUses(PEReader file)
    {
        private static readonly Dictionary<int, System.Reflection.Emit.OpCode> OpCodes = typeof(System.Reflection.Emit.OpCodes).GetFields()
            .Select(field => (System.Reflection.Emit.OpCode)field.GetValue(null)!).ToDictionary(code => (int)(ushort)code.Value);

        private readonly MetadataReader _reader = file.GetMetadataReader();
        private readonly Dictionary<(string, string), string> _uses = [];

        public static string LayerOf(MetadataReader reader, TypeDefinitionHandle handle)
        {
            TypeDefinition type = reader.GetTypeDefinition(handle);
            while (!type.GetDeclaringType().IsNil)
                type = reader.GetTypeDefinition(type.GetDeclaringType());
            string space = reader.GetString(type.Namespace);
            return space switch
            {
                "NativeGen" => Everybodys.Contains(reader.GetString(type.Name)) ? "" : "Generation",
                "Microsoft.Extensions.DependencyInjection" => "Hosting",
                _ when space.StartsWith("NativeGen.", StringComparison.Ordinal) => space.Split('.')[1],
                _ => "", // the compiler's own
            };
        }

        public Dictionary<(string From, string To), string> Collect()
        {
            foreach (TypeDefinitionHandle handle in _reader.TypeDefinitions)
            {
                TypeDefinition type = _reader.GetTypeDefinition(handle);
                string from = LayerOf(_reader, handle);
                string name = _reader.GetString(type.Name);
                Note(from, type.BaseType, name);
                foreach (InterfaceImplementationHandle implementation in type.GetInterfaceImplementations())
                    Note(from, _reader.GetInterfaceImplementation(implementation).Interface, name);
                foreach (FieldDefinitionHandle field in type.GetFields())
                    Note(from, field, name);
                foreach (MethodDefinitionHandle method in type.GetMethods())
                    NoteMethod(from, method, name);
            }
            return _uses;
        }

        private void NoteMethod(string from, MethodDefinitionHandle handle, string typeName)
        {
            MethodDefinition method = _reader.GetMethodDefinition(handle);
            string place = $"{typeName}.{_reader.GetString(method.Name)}";
            NoteAll(from, method.DecodeSignature(TypeCollector.Instance, null), place);
            if (method.RelativeVirtualAddress == 0)
                return;
            MethodBodyBlock body = file.GetMethodBody(method.RelativeVirtualAddress);
            if (!body.LocalSignature.IsNil)
            {
                foreach (HashSet<TypeDefinitionHandle> local in _reader.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(TypeCollector.Instance, null))
                    Note(from, local, place);
            }

            BlobReader code = body.GetILReader();
            while (code.RemainingBytes > 0)
            {
                int value = code.ReadByte();
                if (value == 0xFE)
                    value = value << 8 | code.ReadByte();
                switch (OpCodes[value].OperandType)
                {
                    case System.Reflection.Emit.OperandType.InlineNone:
                        break;
                    case System.Reflection.Emit.OperandType.ShortInlineBrTarget:
                    case System.Reflection.Emit.OperandType.ShortInlineI:
                    case System.Reflection.Emit.OperandType.ShortInlineVar:
                        code.ReadByte();
                        break;
                    case System.Reflection.Emit.OperandType.InlineVar:
                        code.ReadInt16();
                        break;
                    case System.Reflection.Emit.OperandType.InlineI8:
                    case System.Reflection.Emit.OperandType.InlineR:
                        code.ReadInt64();
                        break;
                    case System.Reflection.Emit.OperandType.InlineSwitch:
                        int targets = code.ReadInt32();
                        code.Offset += 4 * targets;
                        break;
                    case System.Reflection.Emit.OperandType.InlineField:
                    case System.Reflection.Emit.OperandType.InlineMethod:
                    case System.Reflection.Emit.OperandType.InlineTok:
                    case System.Reflection.Emit.OperandType.InlineType:
                        Note(from, MetadataTokens.EntityHandle(code.ReadInt32()), place);
                        break;
                    default:
                        code.ReadInt32();
                        break;
                }
            }
        }

        private void Note(string from, EntityHandle used, string place)
        {
            if (used.IsNil)
                return;
            switch (used.Kind)
            {
                case HandleKind.TypeDefinition:
                    Note(from, [(TypeDefinitionHandle)used], place);
                    break;
                case HandleKind.TypeSpecification:
                    Note(from, _reader.GetTypeSpecification((TypeSpecificationHandle)used).DecodeSignature(TypeCollector.Instance, null), place);
                    break;
                case HandleKind.FieldDefinition:
                    FieldDefinition field = _reader.GetFieldDefinition((FieldDefinitionHandle)used);
                    Note(from, [field.GetDeclaringType()], place);
                    Note(from, field.DecodeSignature(TypeCollector.Instance, null), place);
                    break;
                case HandleKind.MethodDefinition:
                    Note(from, [_reader.GetMethodDefinition((MethodDefinitionHandle)used).GetDeclaringType()], place);
                    break;
                case HandleKind.MethodSpecification:
                    MethodSpecification generic = _reader.GetMethodSpecification((MethodSpecificationHandle)used);
                    Note(from, generic.Method, place);
                    foreach (HashSet<TypeDefinitionHandle> argument in generic.DecodeSignature(TypeCollector.Instance, null))
                        Note(from, argument, place);
                    break;
                case HandleKind.MemberReference:
                    MemberReference member = _reader.GetMemberReference((MemberReferenceHandle)used);
                    if (member.Parent.Kind == HandleKind.TypeSpecification)
                        Note(from, member.Parent, place);
                    break;
            }
        }

        private void NoteAll(string from, MethodSignature<HashSet<TypeDefinitionHandle>> signature, string place)
        {
            Note(from, signature.ReturnType, place);
            foreach (HashSet<TypeDefinitionHandle> parameter in signature.ParameterTypes)
                Note(from, parameter, place);
        }

        private void Note(string from, HashSet<TypeDefinitionHandle> used, string place)
        {
            foreach (TypeDefinitionHandle type in used)
            {
                string to = LayerOf(_reader, type);
                if (from.Length > 0 && to.Length > 0 && from != to)
                    _uses.TryAdd((from, to), $"{place} uses {_reader.GetString(_reader.GetTypeDefinition(type).Name)}");
            }
        }
    }

    /// <summary>The assembly's own types that occur anywhere in a signature.</summary>
    private sealed class TypeCollector : ISignatureTypeProvider<HashSet<TypeDefinitionHandle>, object?>
    {
        public static readonly TypeCollector Instance = new();

        public HashSet<TypeDefinitionHandle> GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) => [handle];

        public HashSet<TypeDefinitionHandle> GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => [];

        public HashSet<TypeDefinitionHandle> GetTypeFromSpecification(MetadataReader reader, object? context, TypeSpecificationHandle handle, byte rawTypeKind) =>
            reader.GetTypeSpecification(handle).DecodeSignature(this, context);

        public HashSet<TypeDefinitionHandle> GetPrimitiveType(PrimitiveTypeCode typeCode) => [];

        public HashSet<TypeDefinitionHandle> GetArrayType(HashSet<TypeDefinitionHandle> elementType, ArrayShape shape) => elementType;

        public HashSet<TypeDefinitionHandle> GetSZArrayType(HashSet<TypeDefinitionHandle> elementType) => elementType;

        public HashSet<TypeDefinitionHandle> GetByReferenceType(HashSet<TypeDefinitionHandle> elementType) => elementType;

        public HashSet<TypeDefinitionHandle> GetPointerType(HashSet<TypeDefinitionHandle> elementType) => elementType;

        public HashSet<TypeDefinitionHandle> GetPinnedType(HashSet<TypeDefinitionHandle> elementType) => elementType;

        public HashSet<TypeDefinitionHandle> GetModifiedType(HashSet<TypeDefinitionHandle> modifier, HashSet<TypeDefinitionHandle> unmodifiedType, bool isRequired) =>
            unmodifiedType;

        public HashSet<TypeDefinitionHandle> GetGenericInstantiation(HashSet<TypeDefinitionHandle> genericType, System.Collections.Immutable.ImmutableArray<HashSet<TypeDefinitionHandle>> typeArguments) =>
            [.. genericType, .. typeArguments.SelectMany(argument => argument)];

        public HashSet<TypeDefinitionHandle> GetGenericMethodParameter(object? context, int index) => [];

        public HashSet<TypeDefinitionHandle> GetGenericTypeParameter(object? context, int index) => [];

        public HashSet<TypeDefinitionHandle> GetFunctionPointerType(MethodSignature<HashSet<TypeDefinitionHandle>> signature) =>
            [.. signature.ReturnType, .. signature.ParameterTypes.SelectMany(parameter => parameter)];
    }
}
