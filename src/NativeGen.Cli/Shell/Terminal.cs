// The three streams of the process. stdout carries results only; everything else (status line, notes, errors) goes to stderr.
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Spectre.Console;

namespace NativeGen.Cli.Shell;

internal sealed class Terminal
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    private readonly TextWriter _err = WasClosed(2) ? TextWriter.Null : Console.Error;
    private readonly Lock _errLock = new();
    private string _status = "";
    private bool _midLine;

    /// <summary>stdout as bytes. Unbuffered: what is written is seen. Throws <see cref="OutputClosedException"/> when nobody reads any more.</summary>
    public Stream Out => field ??= new ResultStream(OpenStandardOutput());

    public bool Quiet { get; set; }
    public bool OutIsTerminal { get; } = !Console.IsOutputRedirected;
    public bool ErrIsTerminal { get; } = !Console.IsErrorRedirected;
    public bool InIsTerminal { get; } = !Console.IsInputRedirected;

    /// <summary>Styles are for people at a terminal who have not asked for none (no-color.org).</summary>
    public bool Styled(bool isTerminal) =>
        isTerminal && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")) && Environment.GetEnvironmentVariable("TERM") != "dumb";

    /// <summary>Columns of the terminal; a file or pipe has no border to wrap at.</summary>
    public int Width => OutIsTerminal && Console.WindowWidth > 0 ? Console.WindowWidth : 4096;

    public void Write(string text)
    {
        ClearStatus();
        if (text.Length == 0)
            return;
        _midLine = text[^1] != '\n';
        Out.Write(Utf8.GetBytes(text));
    }

    /// <summary>stdin as bytes.</summary>
    public Stream OpenIn()
    {
        if (WasClosed(0))
            throw new CliException(ExitCode.Usage, "stdin is closed, and no text is given");
        return Console.OpenStandardInput();
    }

    public void WriteLine(string text = "") => Write(text + "\n");

    /// <summary>Something worth knowing that is not the result. Silent with --quiet.</summary>
    public void Note(string text)
    {
        if (!Quiet)
            WriteError(text);
    }

    public void Error(string text) => WriteError("error: " + text);

    /// <summary>Replaces the status line; an empty text removes it. Seen only by a person at a terminal, without --quiet.</summary>
    public void Status(string text)
    {
        if (Quiet || !ErrIsTerminal || Environment.GetEnvironmentVariable("TERM") == "dumb")
            return;
        lock (_errLock)
        {
            if (text == _status)
                return;
            var width = Math.Max(Console.WindowWidth - 1, 10);
            WriteToErr("\r\x1b[2K" + (text.Length <= width ? text : text[..width]));
            _status = text;
        }
    }

    public void ClearStatus() => Status("");

    /// <summary>Leaves the cursor of a person's terminal at the beginning of a line, whatever ended the verb.</summary>
    public void Finish()
    {
        ClearStatus();
        if (_midLine && OutIsTerminal)
        {
            _midLine = false;
            Console.Out.Write('\n');
        }
    }

    /// <summary>Tables and columns on stdout, wrapped at the terminal's width.</summary>
    public void Write(Spectre.Console.Rendering.IRenderable content)
    {
        ClearStatus();
        using var writer = new StreamWriter(Out, Utf8, leaveOpen: true) { NewLine = "\n" };
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = Styled(OutIsTerminal) ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = Styled(OutIsTerminal) ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(writer),
        });
        console.Profile.Width = Width;
        console.Write(content);
    }

    /// <summary>One JSON value on stdout.</summary>
    public void WriteJson(Action<Utf8JsonWriter> write)
    {
        ClearStatus();
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            write(json);
        buffer.WriteByte((byte)'\n');
        Out.Write(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }

    /// <summary>For text that a file brought along: control characters are shown, not obeyed.</summary>
    public static string Escape(string text)
    {
        StringBuilder? escaped = null;
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (!char.IsControl(c) && c is not ('\u2028' or '\u2029'))
            {
                escaped?.Append(c);
                continue;
            }
            escaped ??= new StringBuilder(text, 0, i, text.Length + 8);
            escaped.Append(c switch { '\n' => "\\n", '\r' => "\\r", '\t' => "\\t", _ => $"\\u{(int)c:x4}" });
        }
        return escaped?.ToString() ?? text;
    }

    private void WriteError(string text)
    {
        if (ErrIsTerminal)
            Finish();
        lock (_errLock)
        {
            WriteToErr(text + Environment.NewLine);
        }
    }

    private void WriteToErr(string text)
    {
        try
        {
            _err.Write(text);
            _err.Flush();
        }
        catch (IOException)
        {
            // Nowhere is left to say it (`2>/dev/full`); the exit code still does.
        }
    }

    // .NET's console stream swallows a broken pipe, so a verb would go on computing for nobody. A plain stream on the pipe reports it.
    // (On a file the console stream stays: a FileStream would keep an offset of its own and overwrite what `2>&1` puts there.)
    private static Stream OpenStandardOutput()
    {
        if (OperatingSystem.IsWindows() || !Console.IsOutputRedirected)
            return Console.OpenStandardOutput();
        if (WasClosed(1))
            throw new CliException(ExitCode.Failed, "stdout is closed; there is nowhere to write the result");
        var pipe = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        return pipe.CanSeek ? Console.OpenStandardOutput() : pipe;
    }

    /// <summary>
    /// Whether a standard stream was closed when the process began (<c>&lt;&amp;-</c>). The runtime then gives its number to a descriptor of its own, on which a read waits
    /// for ever; all of those are closed on exec, as nothing that was inherited can be.
    /// </summary>
    private static bool WasClosed(int descriptor)
    {
        const int GetDescriptorFlags = 1, CloseOnExec = 1;
        return !OperatingSystem.IsWindows() && FileControl(descriptor, GetDescriptorFlags) is var flags && (flags < 0 || (flags & CloseOnExec) != 0);
    }

    [DllImport("libc", EntryPoint = "fcntl")]
    private static extern int FileControl(int descriptor, int command);

    private sealed class ResultStream(Stream inner) : Stream
    {
        private const int BrokenPipe = 32; // EPIPE of Linux and macOS

        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Flush() => inner.Flush();
        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            try
            {
                inner.Write(buffer);
                inner.Flush();
            }
            catch (IOException e) when (e.HResult == BrokenPipe)
            {
                throw new OutputClosedException(e);
            }
            catch (IOException e)
            {
                throw new CliException(ExitCode.Failed, "cannot write the result: " + e.Message);
            }
        }
    }
}
